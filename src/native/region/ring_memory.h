// A ring's bytes, mapped twice in a row, so that a frame that begins near the end is contiguous.
#pragma once

#include <cstdint>
#include <memory>

#include "mapping.h"
#include "ring_layout.h"

namespace ringfence {

class RingMemory {
 public:
  // Null when the address space or the mapping is refused.
  // `unitBytes`: what mappings of that memory begin at multiples of.
  static std::shared_ptr<RingMemory> map(int fd, uint64_t offset, uint64_t bytes, uint64_t unitBytes);
  RingMemory(const RingMemory&) = delete;
  RingMemory& operator=(const RingMemory&) = delete;

  // For JavaScript's buffer over all of it.
  uint8_t* base() const { return mapping_.base(); }
  uint64_t bytes() const { return bytes_; }
  // The bytes [position, position + count), at most a ring's length of them.
  Bytes<Frames> frames(uint64_t position, uint64_t count) const {
    return Bytes<Frames>::of(*this, base() + (position & (bytes_ - 1)), count);
  }
  // See Mapping::vacate.
  void vacate() { mapping_.vacate(); }

 private:
  RingMemory(uint8_t* base, uint64_t bytes) : mapping_(base, 2 * bytes), bytes_(bytes) {}

  Mapping mapping_;
  uint64_t bytes_;
};

}  // namespace ringfence
