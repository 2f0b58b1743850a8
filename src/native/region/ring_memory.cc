#include "ring_memory.h"

#include <sys/mman.h>

namespace ringfence {

std::shared_ptr<RingMemory> RingMemory::map(int fd, uint64_t offset, uint64_t bytes) {
  void* reserved = mmap(nullptr, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  auto* base = static_cast<uint8_t*>(reserved);
  for (const uint64_t half : {uint64_t{0}, bytes}) {
    void* at = mmap(base + half, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, static_cast<off_t>(offset));
    if (at != MAP_FAILED) continue;
    munmap(reserved, 2 * bytes);
    return nullptr;
  }
  return std::shared_ptr<RingMemory>(new RingMemory(base, bytes));
}

}  // namespace ringfence
