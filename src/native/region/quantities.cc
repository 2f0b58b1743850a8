#include "quantities.h"

#include <cstdio>
#include <iterator>

namespace ringfence {

namespace {

constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB"};

}  // namespace

std::string formatBytes(uint64_t bytes) {
  if (bytes < 1024) return formatCount(bytes) + (bytes == 1 ? " byte" : " bytes");
  size_t power = 1;
  while (power < std::size(units) && bytes >> (10 * (power + 1)) != 0) power += 1;
  const uint64_t unit = uint64_t{1} << (10 * power);
  if (bytes % unit == 0) return std::to_string(bytes / unit) + " " + units[power - 1];
  char text[40];
  std::snprintf(text, sizeof(text), "%.*f %s", power > 2 ? 2 : 1, static_cast<double>(bytes) / static_cast<double>(unit),
                units[power - 1]);
  return text;
}

std::string formatCount(uint64_t count) {
  const std::string digits = std::to_string(count);
  std::string out;
  for (size_t i = 0; i < digits.size(); i += 1) {
    if (i != 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

}  // namespace ringfence
