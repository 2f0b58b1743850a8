// Where the simulated files appear to be mapped: addresses that cannot be touched. A verb finds by its address which
// byte of which file it means. Any other access ends the run, and says where.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringfence::explore {

struct File;

struct Spot {
  File* file = nullptr;
  uint64_t offset = 0;
};

class AddressSpace {
 public:
  // Forgets all mappings.
  static void begin();
  static uint8_t* reserve(uint64_t bytes);
  static bool has(const void* at);
  // From here on these addresses mean that part of the file, or nothing (null).
  static void map(uint8_t* at, uint64_t bytes, File* file, uint64_t offset);
  static bool find(const void* at, Spot& spot);
  // What a raw access to such an address leads to.
  static void guard();
};

}  // namespace ringfence::explore
