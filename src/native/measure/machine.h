// What the machine itself can do: the limits that the log's figures are set against.
#pragma once

#include <cstddef>
#include <cstdint>

#include "region/region.h"

namespace ringfence {

// Every byte, as little-endian 64-bit words (the last one padded with zeros), added modulo 2^64.
uint64_t foldBytes(const void* bytes, size_t count);

struct CopyLimit {
  double seconds;
  uint64_t bytes;
  uint64_t writerFold;
  uint64_t readerFold;
};

// One writer copies blocks into a shared ring of `ringBytes`, one reader folds every byte of it: two threads, one
// mapping prefaulted, positions published every `publishEvery` bytes, a multiple of the block. Blocks the caller for the
// whole run.
Status copyLimit(uint64_t totalBytes, uint64_t ringBytes, uint32_t blockBytes, uint32_t publishEvery, CopyLimit& found);

// Microseconds of one cache line's way to another core and back, the median of several rounds.
Status lineRoundTripMicros(double& found);

}  // namespace ringfence
