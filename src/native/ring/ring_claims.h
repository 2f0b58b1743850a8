// Claims the writing role of a ring, and a reader's place: each under its own lock, a new name under the names lock
// too. The locks are tried without waiting (claim_locks.h).
#pragma once

#include <string>
#include <vector>

#include "region/region.h"
#include "region/ring_layout.h"

namespace ringfence {

struct RingView {
  uint32_t ring;
  uint64_t generation;
  uint32_t process;
  bool written;  // its writer lives and has not closed it
  uint64_t position;
  uint64_t frames;
  uint64_t fullEvents;
  uint64_t evictions;
  std::string name;
};

struct RingRole {
  uint32_t ring = 0;
  uint64_t generation = 0;
  uint64_t position = 0;  // where the writer begins
  // What its predecessors have counted.
  uint64_t frames = 0;
  uint64_t fullEvents = 0;
  uint64_t evictions = 0;
};

struct ReaderRole {
  uint32_t ring = 0;
  uint32_t slot = 0;
  uint64_t generation = 0;
};

std::vector<RingView> ringsOf(const Region& region);

// Number of writers opened so far.
uint64_t ringOpenings(const Region& region);

// A name that had a writer before continues in the same ring, in a new generation. `exists` while another writer of
// that name lives; `full` when no ring is left; `busy`, naming the process, while another process takes the ring or
// gives a new name.
Status claimRing(Region& region, const std::string& name, RingRole& role);
// `missing` when no ring has that name.
Status claimRingReader(Region& region, const std::string& ring, const std::string& name, ReaderRole& role);

// Whether the process that named a ring died before it claimed it, and no other has claimed it since.
bool firstWriterDied(const Region& region, uint32_t ring);

// A reader whose cursors hold room: attached, not detached, not ended, not evicted. Generation 0: there is none.
struct ActiveReader {
  uint64_t generation = 0;
  uint64_t released = 0;
};
ActiveReader activeReader(const Region& region, uint32_t ring, uint32_t slot);

// Of the place's present reader, or of its last one.
uint64_t readerGeneration(const Publication& p, const RingReaderSlot& place);

}  // namespace ringfence
