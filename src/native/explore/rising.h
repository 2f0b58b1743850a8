// The cursors, frontiers and counts that only rise. Not listed are those that may fall: `trim`, when a reader attaches
// meanwhile; the counts of a topic whose place is given back; what a ring's writer announced before it died.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringfence::explore {

// How long a value only rises: for ever, or as long as the lane has the same session, the place the same reader.
// `sealed`: in the line of one session, whose values count with its seal.
// `epoch`: as long as the block is the same epoch's.
enum class RisesUnder : uint8_t { all, session, reader, both, sealed, epoch };

struct Rising {
  const char* structure;
  size_t offset;
  size_t bytes;
  RisesUnder owner;
};

// The rising fields of a structure, by its name in line_names.h.
std::span<const Rising> risingIn(const char* structure);

}  // namespace ringfence::explore
