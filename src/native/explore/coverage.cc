#include "coverage.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "region/planted.h"
#include "scheduler.h"

namespace ringfence::explore {

namespace {

struct Entry {
  uint64_t key = 0;
  Place place;
  Verb verb = Verb::read;
  uint64_t times = 0;
  // Processes, a bit each, that could have been killed here; that were; that were stopped.
  uint32_t mortal = 0;
  uint32_t killed = 0;
  uint32_t stopped = 0;
};

constexpr size_t entriesMax = 4096;  // a power of two, far above the number of sites
Entry entries[entriesMax];

uint64_t plantedKey = 0;
Fault fault = Fault::none;
const char* plantedDefect = "";
Entry* last = &entries[0];

Entry& entryOf(uint64_t key) {
  size_t slot = (key ^ key >> 32) & (entriesMax - 1);
  while (entries[slot].key != key && entries[slot].key != 0) slot = (slot + 1) & (entriesMax - 1);
  return entries[slot];
}

uint32_t bitOf(const Process& process) { return 1U << (process.id % 32); }

template <class Mask>
size_t pairs(Mask mask) {
  size_t count = 0;
  for (const Entry& entry : entries) count += static_cast<size_t>(__builtin_popcount(mask(entry)));
  return count;
}

std::string fileOf(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

// "ringfence::RingWriter::publish" of all that the compiler says of a function.
std::string functionOf(const char* text) {
  std::string name(text);
  const size_t templated = name.find(" [with ");
  if (templated != std::string::npos) name.resize(templated);
  const size_t open = name.find('(');
  const size_t lambda = name.find("::<lambda");
  const std::string head = name.substr(0, open);
  const size_t space = head.rfind(' ');
  std::string own = space == std::string::npos ? head : head.substr(space + 1);
  while (!own.empty() && (own[0] == '&' || own[0] == '*')) own.erase(0, 1);
  for (const char* known : {"ringfence::", "{anonymous}::"}) {
    for (size_t at = own.find(known); at != std::string::npos; at = own.find(known)) own.erase(at, std::strlen(known));
  }
  if (lambda != std::string::npos) own += " (a lambda)";
  return own;
}

}  // namespace

const char* nameOf(Verb verb) {
  constexpr const char* names[] = {"read",       "write",     "publish",   "observe", "readBytes", "writeBytes", "wrote", "willRead",
                                   "storeFence", "loadFence", "fullFence", "ring",    "replace",   "take"};
  return names[static_cast<uint8_t>(verb)];
}

const char* nameOf(Fault of) {
  constexpr const char* names[] = {"none", "dropped", "plain", "swapped"};
  return names[static_cast<uint8_t>(of)];
}

Fault Coverage::at(const Place& place, Verb verb) {
  const uint64_t key = (place.key() ^ static_cast<uint64_t>(verb) << 56) | 1;
  Entry& entry = entryOf(key);
  if (entry.key == 0) entry = {key, place, verb};
  last = &entry;
  entry.times += Scheduler::now().exploring() ? 1 : 0;
  return key == plantedKey ? fault : Fault::none;
}

void Coverage::call(const char* name) {
  const uint64_t key = reinterpret_cast<uint64_t>(name) | 1;
  last = &entryOf(key);
  last->key = key;
  last->place.function = name;
}

void Coverage::killed(const Process& process) { last->killed |= bitOf(process); }
void Coverage::stopped(const Process& process) { last->stopped |= bitOf(process); }
void Coverage::mortal(const Process& process) { last->mortal |= bitOf(process); }

void Coverage::plant(const SiteSeen& site, Fault of) {
  plantedKey = (site.place.key() ^ static_cast<uint64_t>(site.verb) << 56) | 1;
  fault = of;
}

void Coverage::plantNone() {
  plantedKey = 0;
  fault = Fault::none;
}

void Coverage::plantDefect(const char* defect) { plantedDefect = defect; }

Fault Coverage::planted() { return fault; }

std::vector<SiteSeen> Coverage::sites() {
  std::vector<SiteSeen> sites;
  for (const Entry& entry : entries) {
    if (entry.times != 0) sites.push_back({entry.place, entry.verb, entry.times, ""});
  }
  std::sort(sites.begin(), sites.end(), [](const SiteSeen& a, const SiteSeen& b) {
    const int files = std::strcmp(a.place.file, b.place.file);
    if (files != 0) return files < 0;
    return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
  });
  std::map<std::string, int> count;
  for (SiteSeen& site : sites) {
    const std::string name = fileOf(site.place.file) + " " + functionOf(site.place.function) + " " + nameOf(site.verb);
    site.name = name + " " + std::to_string(count[name] += 1);
  }
  return sites;
}

size_t Coverage::kills() {
  return pairs([](const Entry& entry) { return entry.killed; });
}
size_t Coverage::stops() {
  return pairs([](const Entry& entry) { return entry.stopped; });
}
size_t Coverage::mortals() {
  return pairs([](const Entry& entry) { return entry.mortal; });
}

void Coverage::forget() {
  for (Entry& entry : entries) entry = {};
}

}  // namespace ringfence::explore

bool ringfence::planted(const char* defect) { return std::strcmp(defect, ringfence::explore::plantedDefect) == 0; }
