// A ring's bytes, mapped twice in a row, so that a frame that begins near the end is contiguous.
#pragma once

#include <cstdint>
#include <memory>

#include "mapping.h"

namespace ringfence {

class RingMemory {
 public:
  // Null when the address space or the mapping is refused.
  // `unitBytes`: what mappings of that memory begin at multiples of.
  static std::shared_ptr<RingMemory> map(int fd, uint64_t offset, uint64_t bytes, uint64_t unitBytes);
  RingMemory(const RingMemory&) = delete;
  RingMemory& operator=(const RingMemory&) = delete;

  uint8_t* base() const { return mapping_.base(); }
  uint64_t bytes() const { return bytes_; }
  uint8_t* at(uint64_t position) const { return base() + (position & (bytes_ - 1)); }
  // See Mapping::vacate.
  void vacate() { mapping_.vacate(); }

 private:
  RingMemory(uint8_t* base, uint64_t bytes) : mapping_(base, 2 * bytes), bytes_(bytes) {}

  Mapping mapping_;
  uint64_t bytes_;
};

}  // namespace ringfence
