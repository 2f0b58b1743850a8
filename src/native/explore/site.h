// Where in the source a verb stands: what a trace names, and what a mutant changes.
#pragma once

#include <cstdint>
#include <source_location>

namespace ringfence::explore {

struct Place {
  const char* file = "";
  const char* function = "";
  uint32_t line = 0;
  uint32_t column = 0;

  // The same for each instance of a template.
  uint64_t key() const {
    return (reinterpret_cast<uint64_t>(file) * 0x9e3779b97f4a7c15ULL) ^ (uint64_t{line} << 16 | column);
  }
};

}  // namespace ringfence::explore

namespace ringfence::memory {

struct Site {
  std::source_location at;

  Site(std::source_location where = std::source_location::current()) : at(where) {}
  explore::Place place() const { return {at.file_name(), at.function_name(), at.line(), at.column()}; }
};

}  // namespace ringfence::memory
