// The outcome of a native operation: success, or the fault that stopped it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace ringfence {

// `fault` is one of the names in services/schema/RegionError.ts; null means success.
struct Status {
  const char* fault = nullptr;
  std::string detail;
  uint64_t wantedBytes = 0;
  uint64_t freeBytes = 0;
  std::string hint = {};  // the next step, if the fault alone does not imply it

  bool ok() const { return fault == nullptr; }
  static Status fine() { return {}; }
  static Status failed(const char* fault, std::string detail) { return {fault, std::move(detail), 0, 0, {}}; }
};

}  // namespace ringfence
