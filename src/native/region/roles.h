// The writers of shared lines, as passkeys: the actor alone that is named here can make the key of its role, and without
// the key no line of that role can be written. A role is given on to the functions that write for that actor.
#pragma once

namespace ringfence {

class ClaimLock;
class DeviceHeader;
class IndexReader;
class LaneWriter;
class Region;
class RingReader;
class RingWriter;
class Sequencer;
uint32_t grantLanes(const Region& region, uint32_t broker);

namespace role {

// Makes a region. On a device it also clears the magic number, as does the process that ends a region there.
class Creator {
  friend class ringfence::Region;
  friend class ringfence::DeviceHeader;
  Creator() {}
};

// The process of a slot of the process table. With a claim's lock it says in its slot how far it is.
class Process {
  friend class ringfence::Region;
  friend class ringfence::ClaimLock;
  Process() {}
};

// Takes a slot of a table, under the slot's lock.
class Claimant {
  friend class ringfence::ClaimLock;
  Claimant() {}
};

// Gives a name, under the names lock.
class NameGiver {
  friend class ringfence::ClaimLock;
  NameGiver() {}
};

// Holds the lease: it writes the line of control, and the block of its epoch.
class Sequencer {
  friend class ringfence::Sequencer;
  Sequencer() {}
};

class RingWriter {
  friend class ringfence::RingWriter;
  RingWriter() {}
};

class RingReader {
  friend class ringfence::RingReader;
  RingReader() {}
};

class LaneWriter {
  friend class ringfence::LaneWriter;
  LaneWriter() {}
};

class IndexReader {
  friend class ringfence::IndexReader;
  IndexReader() {}
};

// Admits sessions to its lanes.
class Broker {
  friend uint32_t ringfence::grantLanes(const Region& region, uint32_t broker);
  Broker() {}
};

}  // namespace role

}  // namespace ringfence
