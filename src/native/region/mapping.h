// Mapped bytes of a region's file, which can be given up before their last owner is gone.
#pragma once

#include <cstdint>

namespace ringfence {

// Keeps the address range until it is destroyed, so that a late access reads stale or empty memory but never another
// mapping.
class Mapping {
 public:
  Mapping(uint8_t* base, uint64_t bytes) : base_(base), bytes_(bytes) {}
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // Replaces the file's pages with empty memory of this process, and so frees them. JavaScript handles and buffers live
  // until they are collected; from here on they reach no region.
  void vacate();

  uint8_t* base() const { return base_; }
  uint64_t bytes() const { return bytes_; }

 private:
  uint8_t* base_;
  uint64_t bytes_;
  bool vacated_ = false;
};

}  // namespace ringfence
