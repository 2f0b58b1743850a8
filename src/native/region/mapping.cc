#include "mapping.h"

#include <sys/mman.h>

namespace ringfence {

namespace {

bool replace(uint8_t* base, uint64_t bytes, int protection) {
  constexpr int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
  return mmap(base, bytes, protection, kind, -1, 0) != MAP_FAILED;
}

}  // namespace

Mapping::~Mapping() { munmap(base_, bytes_); }

// In one step, so that the range is never free for another mapping. A system that does not overcommit may refuse that
// much writable memory; read-only pages cost nothing.
void Mapping::vacate() {
  if (vacated_) return;
  vacated_ = true;
  if (!replace(base_, bytes_, PROT_READ | PROT_WRITE)) replace(base_, bytes_, PROT_READ);
}

}  // namespace ringfence
