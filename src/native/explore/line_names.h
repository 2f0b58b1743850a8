// What lies in a region, by offset: the names of its words ("RingLead[0].position"), and the writers of its lines.
#pragma once

#include <span>
#include <string>

#include "address_space.h"
#include "region/layout.h"
#include "rising.h"

namespace ringfence::explore {

// The roles of region/roles.h, as the lines are declared with them. `host`: any process changes the line atomically.
enum class Writer : uint8_t {
  creator, process, claimant, nameGiver, sequencer, broker, laneWriter, indexReader, ringWriter, ringReader, host
};

// A place in one of several structures of a kind.
struct LinePlace {
  const char* structure;
  Writer writer;
  std::span<const Rising> rising;
  uint64_t index;
  uint64_t within;  // bytes into it
};

// The region whose words are named: the first file of each schedule.
void nameAfter(const Layout& layout);
const Layout& namedLayout();
// False where nothing is declared.
bool placeOf(uint64_t offset, LinePlace& place);
std::string nameOf(const Spot& spot);
// The name of a lock on a byte of the file.
std::string nameOfLock(int64_t byte);

}  // namespace ringfence::explore
