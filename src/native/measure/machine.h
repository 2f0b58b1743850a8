// The limits of the machine itself, with which the log's figures are compared.
#pragma once

#include <cstddef>
#include <cstdint>

#include "region/region.h"

namespace ringfence {

// The sum of all bytes as little-endian 64-bit words (the last padded with zeros), modulo 2^64.
uint64_t foldBytes(const void* bytes, size_t count);

// The same of the payloads of frames that lie one behind the other. The first word of each payload must be the count of
// frames from `first` on: the result says how many were.
struct FramesFold {
  uint64_t sum;
  uint64_t frames;
  uint64_t inOrder;
};
FramesFold foldFrames(const uint8_t* bytes, size_t count, uint32_t first);

struct CopyLimit {
  double seconds;
  uint64_t bytes;
  uint64_t writerFold;
  uint64_t readerFold;
};

struct Copying {
  uint64_t totalBytes;
  uint64_t ringBytes;
  uint32_t blockBytes;
  uint32_t publishEvery;  // bytes, a multiple of the block
  Coherence coherence = Coherence::coherent;
};

// One thread copies blocks into a shared, prefaulted ring, another folds every byte. On flushed memory the one writes
// back what it copied, and the other invalidates it first. Blocks the caller for the whole run.
Status copyLimit(const Copying& copying, CopyLimit& found);

// Microseconds of a cache line's round trip to another core, the median of several rounds.
Status lineRoundTripMicros(double& found);

}  // namespace ringfence
