#include "ring_memory.h"

#include <sys/mman.h>

#include "layout.h"

namespace ringfence {

namespace {

// Address space that begins at a multiple of the unit: reserved with one unit more, of which the ends are given back.
uint8_t* reserve(uint64_t bytes, uint64_t unitBytes) {
  void* reserved = mmap(nullptr, bytes + unitBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  auto* start = static_cast<uint8_t*>(reserved);
  const uint64_t before = roundUp(reinterpret_cast<uint64_t>(start), unitBytes) - reinterpret_cast<uint64_t>(start);
  if (before != 0) munmap(start, before);
  if (before != unitBytes) munmap(start + before + bytes, unitBytes - before);
  return start + before;
}

}  // namespace

std::shared_ptr<RingMemory> RingMemory::map(int fd, uint64_t offset, uint64_t bytes, uint64_t unitBytes) {
  uint8_t* base = reserve(2 * bytes, unitBytes);
  if (base == nullptr) return nullptr;
  for (const uint64_t half : {uint64_t{0}, bytes}) {
    void* at = mmap(base + half, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, static_cast<off_t>(offset));
    if (at != MAP_FAILED) continue;
    munmap(base, 2 * bytes);
    return nullptr;
  }
  return std::shared_ptr<RingMemory>(new RingMemory(base, bytes));
}

}  // namespace ringfence
