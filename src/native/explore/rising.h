// The cursors, frontiers and counts that only rise. Left out are those that are taken back: `trim`, where a reader attached
// meanwhile; what is given back with a topic; what a ring's writer announced that died before it could publish it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringfence::explore {

// For how long: for ever, or as long as the lane has that session, the place that reader. `sealed`: in the line of one
// session, whose values count with its seal.
enum class RisesUnder : uint8_t { all, session, reader, both, sealed };

struct Rising {
  const char* structure;
  size_t offset;
  size_t bytes;
  RisesUnder owner;
};

// Those of a structure, by its name in line_names.h.
std::span<const Rising> risingIn(const char* structure);

}  // namespace ringfence::explore
