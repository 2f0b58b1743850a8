#include "arena.h"

#include <sys/mman.h>


#include "real_calls.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace ringfence::explore {

namespace {

constexpr size_t arenaBytes = size_t{256} << 20;
uint8_t* base = nullptr;
size_t used = 0;
bool taking = false;

bool holds(const void* at) {
  const auto* byte = static_cast<const uint8_t*>(at);
  return base != nullptr && byte >= base && byte < base + arenaBytes;
}

void* take(size_t bytes, size_t alignment) {
  if (!taking) {
    void* at = alignment > alignof(std::max_align_t) ? std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)
                                                     : std::malloc(bytes == 0 ? 1 : bytes);
    if (at == nullptr) std::abort();
    return at;
  }
  used = (used + alignment - 1) & ~(alignment - 1);
  if (used + bytes > arenaBytes) {
    std::fputs("a schedule takes more memory than the arena has\n", stderr);
    std::abort();
  }
  void* at = base + used;
  used += bytes;
  return at;
}

void give(void* at) {
  if (at != nullptr && !holds(at)) std::free(at);
}

}  // namespace

void Arena::open() {
  if (base == nullptr) {
    void* reserved = __real_mmap(nullptr, arenaBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) std::abort();
    base = static_cast<uint8_t*>(reserved);
  }
  taking = true;
}

void Arena::reset() {
  taking = false;
  used = 0;
}

OutsideArena::OutsideArena() : before_(taking) { taking = false; }
OutsideArena::~OutsideArena() { taking = before_; }

}  // namespace ringfence::explore

void* operator new(size_t bytes) { return ringfence::explore::take(bytes, alignof(std::max_align_t)); }
void* operator new[](size_t bytes) { return ringfence::explore::take(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return ringfence::explore::take(bytes, static_cast<size_t>(alignment));
}
void operator delete(void* at) noexcept { ringfence::explore::give(at); }
void operator delete[](void* at) noexcept { ringfence::explore::give(at); }
void operator delete(void* at, size_t) noexcept { ringfence::explore::give(at); }
void operator delete[](void* at, size_t) noexcept { ringfence::explore::give(at); }
void operator delete(void* at, std::align_val_t) noexcept { ringfence::explore::give(at); }
void operator delete(void* at, size_t, std::align_val_t) noexcept { ringfence::explore::give(at); }
