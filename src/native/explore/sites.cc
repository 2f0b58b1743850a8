#include "sites.h"

#include <link.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <tuple>

namespace ringfence::explore {

namespace {

// What std::source_location points to, in libstdc++ for gcc and clang.
struct Record {
  const char* file;
  const char* function;
  uint32_t line;
  uint32_t column;
};

struct Segment {
  const char* begin;
  const char* end;
};

using Segments = std::vector<Segment>;

// The readable segments of the program itself, which comes first.
int collect(dl_phdr_info* info, size_t, void* to) {
  for (int i = 0; i < info->dlpi_phnum; i += 1) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || (header.p_flags & PF_R) == 0) continue;
    const auto* begin = reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr);
    static_cast<Segments*>(to)->push_back({begin, begin + header.p_filesz});
  }
  return 1;
}

// A text of printable characters within a segment, or null.
const char* textAt(const Segments& segments, const char* at) {
  for (const Segment& segment : segments) {
    if (at < segment.begin || at >= segment.end) continue;
    const char* end = at;
    while (end < segment.end && *end >= ' ' && *end <= '~') end += 1;
    return end < segment.end && *end == '\0' && end != at ? at : nullptr;
  }
  return nullptr;
}

bool isSource(const char* file) {
  const char* dot = std::strrchr(file, '.');
  return file[0] == '/' && std::strstr(file, "/native/") != nullptr && dot != nullptr &&
         (std::strcmp(dot, ".cc") == 0 || std::strcmp(dot, ".h") == 0);
}

auto orderOf(const Place& place) { return std::tuple(std::string_view(place.file), place.line, place.column); }

}  // namespace

bool ofTheExplorer(const Place& place) { return std::strstr(place.file, "/native/explore/") != nullptr; }

std::vector<Place> compiledPlaces() {
  Segments segments;
  dl_iterate_phdr(&collect, &segments);
  std::vector<Place> places;
  for (const Segment& segment : segments) {
    for (const char* at = segment.begin; at + sizeof(Record) <= segment.end; at += alignof(Record)) {
      Record record;
      std::memcpy(&record, at, sizeof(record));
      if (record.line == 0 || record.line > 100'000 || record.column == 0 || record.column > 1'000) continue;
      const char* file = textAt(segments, record.file);
      const char* function = textAt(segments, record.function);
      if (file == nullptr || function == nullptr || !isSource(file)) continue;
      places.push_back({file, function, record.line, record.column});
    }
  }
  std::erase_if(places, &ofTheExplorer);
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return orderOf(a) < orderOf(b); });
  const auto same = [](const Place& a, const Place& b) { return orderOf(a) == orderOf(b); };
  places.erase(std::unique(places.begin(), places.end(), same), places.end());
  return places;
}

}  // namespace ringfence::explore
