// Mapped bytes of a region's file, and how they are given up before their last owner is gone.
#pragma once

#include <cstdint>

namespace ringfence {

// The address range stays this object's until it is destroyed. So a late access through it can be wrong, but never
// meets memory of something else.
class Mapping {
 public:
  Mapping(uint8_t* base, uint64_t bytes) : base_(base), bytes_(bytes) {}
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // Puts empty memory of this process in the place of the file's pages, which are free from then on. JavaScript keeps
  // handles and buffers for as long as its collector likes; what they still reach then belongs to no region.
  void vacate();

  uint8_t* base() const { return base_; }
  uint64_t bytes() const { return bytes_; }

 private:
  uint8_t* base_;
  uint64_t bytes_;
  bool vacated_ = false;
};

}  // namespace ringfence
