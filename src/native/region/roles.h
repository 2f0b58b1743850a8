// The writers of shared lines, as passkeys: the actor alone that is named here can make the key of its role, and without
// the key no line of that role can be written. A role is given on to the functions that write for that actor.
#pragma once

#include "line.h"

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
class Creator : Unforged {
  friend class ringfence::Region;
  friend class ringfence::DeviceHeader;
  Creator() {}
};

// The process in the slot: it holds the slot's lock. Before it takes a claim's lock and until it has released it, its
// slot says which lock that is and how far the process has come, so that others can name the holder.
class Process : Unforged {
  friend class ringfence::Region;
  friend class ringfence::ClaimLock;
  Process() {}
};

// The process that sleeps: in its own slot, or as the sequencer.
class Sleeper : Unforged {
  friend class ringfence::Region;
  friend class ringfence::Sequencer;
  Sleeper() {}
};

// The process that takes the slot, under the slot's lock.
class Claimant : Unforged {
  friend class ringfence::ClaimLock;
  Claimant() {}
};

// The process that gives a name, under the names lock.
class NameGiver : Unforged {
  friend class ringfence::ClaimLock;
  NameGiver() {}
};

// The sequencer: holds the lock of its epoch's block, and writes that block.
class Sequencer : Unforged {
  friend class ringfence::Sequencer;
  Sequencer() {}
};

// The ring's writer.
class RingWriter : Unforged {
  friend class ringfence::RingWriter;
  RingWriter() {}
};

// The ring's reader.
class RingReader : Unforged {
  friend class ringfence::RingReader;
  RingReader() {}
};

// The lane's client.
class LaneWriter : Unforged {
  friend class ringfence::LaneWriter;
  LaneWriter() {}
};

// The subscriber that has a reader's place, of an index or of lanes.
class IndexReader : Unforged {
  friend class ringfence::IndexReader;
  friend class ringfence::LaneReader;
  friend void ringfence::leavePlace(const Region& region, uint32_t topic, uint32_t reader, uint64_t generation);
  IndexReader() {}
};

// The broker: admits sessions to its lanes, in the process that serves the log. A successor withdraws all grants of the
// block's former epoch.
class Broker : Unforged {
  friend class ringfence::Sequencer;
  friend uint32_t ringfence::grantLanes(const Region& region, uint32_t broker);
  Broker() {}
};

}  // namespace role

}  // namespace ringfence
