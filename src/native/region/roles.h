// The writers of shared lines, as passkeys: the actor alone that is named here can make the key of its role, and without
// the key no line of that role can be written. A role is given on to the functions that write for that actor.
#pragma once

namespace ringfence {

class ClaimLock;
class DeviceHeader;
class IndexReader;
class LaneReader;
class LaneWriter;
class Region;
class RingReader;
class RingWriter;
class Sequencer;
uint32_t grantLanes(const Region& region, uint32_t broker);
void leavePlace(const Region& region, uint32_t topic, uint32_t reader, uint64_t generation);

namespace role {

// The creator: makes the region. On a device it also clears the magic number, as does the process that ends a region there.
class Creator {
  friend class ringfence::Region;
  friend class ringfence::DeviceHeader;
  Creator() {}
};

// The process in the slot: it holds the slot's lock. Before it takes a claim's lock and until it has released it, its
// slot says which lock that is and how far the process has come, so that others can name the holder.
class Process {
  friend class ringfence::Region;
  friend class ringfence::ClaimLock;
  Process() {}
};

// The process that takes the slot, under the slot's lock.
class Claimant {
  friend class ringfence::ClaimLock;
  Claimant() {}
};

// The process that gives a name, under the names lock.
class NameGiver {
  friend class ringfence::ClaimLock;
  NameGiver() {}
};

// The sequencer: holds the lease. It writes the line of control, and the block of its epoch.
class Sequencer {
  friend class ringfence::Sequencer;
  Sequencer() {}
};

// The ring's writer.
class RingWriter {
  friend class ringfence::RingWriter;
  RingWriter() {}
};

// The ring's reader.
class RingReader {
  friend class ringfence::RingReader;
  RingReader() {}
};

// The lane's client.
class LaneWriter {
  friend class ringfence::LaneWriter;
  LaneWriter() {}
};

// The subscriber that has a reader's place, of an index or of lanes.
class IndexReader {
  friend class ringfence::IndexReader;
  friend class ringfence::LaneReader;
  friend void ringfence::leavePlace(const Region& region, uint32_t topic, uint32_t reader, uint64_t generation);
  IndexReader() {}
};

// The broker: admits sessions to its lanes.
class Broker {
  friend uint32_t ringfence::grantLanes(const Region& region, uint32_t broker);
  Broker() {}
};

}  // namespace role

}  // namespace ringfence
