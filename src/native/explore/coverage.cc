#include "coverage.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

#include "address_space.h"
#include "arena.h"
#include "line_names.h"
#include "model.h"
#include "region/planted.h"
#include "scheduler.h"

namespace ringfence::explore {

namespace {

struct Entry {
  uint64_t key = 0;
  Place place;
  Verb verb = Verb::read;
  uint64_t times = 0;
  bool seesMore = false;
  // The word that the verb concerns; of several, the first.
  bool hasWord = false;
  bool hasMore = false;
  uint64_t offset = 0;
  std::string word;  // " RingLead.position"; of several words only their structure
  bool followsStore = false;
  bool acts = false;
  // A bit for each process that could have been killed here, that was killed; that could have been stopped, that was.
  uint32_t mortal = 0;
  uint32_t killed = 0;
  uint32_t stoppable = 0;
  uint32_t stopped = 0;
};

constexpr size_t entriesMax = 4096;  // a power of two, far above the number of sites
Entry entries[entriesMax];

uint64_t plantedKey = 0;
uint64_t plantedPlace = 0;
Fault fault = Fault::none;
bool sees = false;  // whether the planted fault has let a load see more
const char* plantedDefect = "";
Entry* last = &entries[0];

Entry& entryOf(uint64_t key) {
  size_t slot = (key ^ key >> 32) & (entriesMax - 1);
  while (entries[slot].key != key && entries[slot].key != 0) slot = (slot + 1) & (entriesMax - 1);
  return entries[slot];
}

uint32_t bitOf(const Process& process) { return 1U << (process.id % 32); }

bool adds(uint32_t& mask, const Process& process) {
  const bool isNew = (mask & bitOf(process)) == 0;
  mask |= bitOf(process);
  return isNew;
}

template <class Mask>
size_t pairs(Mask mask) {
  size_t count = 0;
  for (const Entry& entry : entries) count += static_cast<size_t>(__builtin_popcount(mask(entry)));
  return count;
}

// " RingLead.position": the place within the file, without the numbers of slots.
std::string wordOf(const Spot& spot) {
  const std::string full = nameOf(spot);
  const size_t open = full.find('[');
  if (open == std::string::npos) return "";
  const size_t dot = full.find(']', open) + 1;
  const bool isField = dot < full.size() && full[dot] == '.';
  return " " + full.substr(0, open) + (isField ? full.substr(dot) : "");
}

}  // namespace

std::string functionOf(const Place& place) {
  std::string name(place.function);
  const size_t templated = name.find(" [with ");
  if (templated != std::string::npos) name.resize(templated);
  const size_t open = name.find('(');
  const size_t lambda = name.find("::<lambda");
  const std::string head = name.substr(0, open);
  const size_t space = head.rfind(' ');
  std::string own = space == std::string::npos ? head : head.substr(space + 1);
  while (!own.empty() && (own[0] == '&' || own[0] == '*')) own.erase(0, 1);
  for (const char* known : {"ringfence::", "{anonymous}::", "sequencing::"}) {
    for (size_t at = own.find(known); at != std::string::npos; at = own.find(known)) own.erase(at, std::strlen(known));
  }
  if (lambda != std::string::npos) own += " (a lambda)";
  return own;
}

const char* nameOf(Verb verb) {
  constexpr const char* names[] = {"read",       "write",     "publish",   "observe", "readBytes", "writeBytes", "wrote", "willRead",
                                   "storeFence", "loadFence", "fullFence", "ring",    "take",    "raise",     "lower"};
  return names[static_cast<uint8_t>(verb)];
}

const char* nameOf(Fault of) {
  constexpr const char* names[] = {"none", "dropped", "plain", "swapped", "torn", "astray", "fallen"};
  return names[static_cast<uint8_t>(of)];
}

Fault Coverage::at(const Place& place, Verb verb) {
  const uint64_t key = (place.key() ^ static_cast<uint64_t>(verb) << 56) | 1;
  Entry& entry = entryOf(key);
  if (entry.key == 0) {
    entry.key = key;
    entry.place = place;
    entry.verb = verb;
  }
  last = &entry;
  // Whether these have something to do depends on what was stored or fetched before (they call acts); for a planted
  // observation, on the loads behind it.
  const bool depends = verb == Verb::storeFence || verb == Verb::loadFence || verb == Verb::fullFence ||
                       verb == Verb::wrote || verb == Verb::willRead || (key == plantedKey && verb == Verb::observe);
  entry.acts = entry.acts || !depends;
  entry.times += Scheduler::now().exploring() ? 1 : 0;
  return key == plantedKey ? fault : Fault::none;
}

void Coverage::meets(const Word& word) {
  Entry& entry = *last;
  const Spot spot{word.file, word.offset + static_cast<uint64_t>(__builtin_ctzll(word.mask)) / 8};
  if (!entry.hasWord) {
    const OutsideArena outside;
    entry.hasWord = true;
    entry.offset = spot.offset;
    entry.word = wordOf(spot);
  } else if (!entry.hasMore && entry.offset / 64 == spot.offset / 64 && entry.offset / 8 != spot.offset / 8) {
    entry.hasMore = true;
    entry.word.resize(std::min(entry.word.size(), entry.word.find('.')));
  }
}

void Coverage::followsStore() { last->followsStore = true; }
// Over flushed memory, whether a verb that is left out had something to do is told by seesMore().
void Coverage::acts() {
  const bool planted = last->key == plantedKey && Model::now().hasLines();
  last->acts = last->acts || (Scheduler::now().exploring() && !planted);
}

void Coverage::call(const char* name) {
  const uint64_t key = reinterpret_cast<uint64_t>(name) | 1;
  last = &entryOf(key);
  last->key = key;
  last->place.function = name;
}

void Coverage::killed(const Process& process) { last->killed |= bitOf(process); }
void Coverage::stopped(const Process& process) { last->stopped |= bitOf(process); }
bool Coverage::mortal(const Process& process) { return adds(last->mortal, process); }
bool Coverage::stoppable(const Process& process) { return adds(last->stoppable, process); }

void Coverage::plant(const SiteSeen& site, Fault of) {
  plantedKey = (site.place.key() ^ static_cast<uint64_t>(site.verb) << 56) | 1;
  plantedPlace = site.place.key();
  entryOf(plantedKey).acts = false;
  fault = of;
}

void Coverage::plantNone() {
  plantedKey = plantedPlace = 0;
  fault = Fault::none;
}

void Coverage::plantDefect(const char* defect) { plantedDefect = defect; }

Fault Coverage::planted() { return fault; }
bool Coverage::plantedActs() { return plantedKey == 0 || entryOf(plantedKey).acts; }
void Coverage::plantedRests() {
  if (plantedKey != 0) entryOf(plantedKey).acts = false;
  sees = false;
}
bool Coverage::plantedSees() { return sees; }
bool Coverage::plantedOrdersLoads() {
  if (plantedKey == 0) return false;
  const Verb verb = entryOf(plantedKey).verb;
  return verb == Verb::loadFence || verb == Verb::observe;
}
bool Coverage::plantedIn(const Place& place) { return place.key() == plantedPlace; }
bool Coverage::plantedIsWriteBack() { return plantedKey != 0 && entryOf(plantedKey).verb == Verb::wrote; }
bool Coverage::plantedIsWrite() { return plantedKey != 0 && entryOf(plantedKey).verb == Verb::write && fault == Fault::dropped; }

void Coverage::seesMore() {
  last->seesMore = sees = true;
  entryOf(plantedKey).acts = true;
}

std::string Coverage::whatSeesMore() {
  std::string all;
  for (const Entry& entry : entries) {
    if (!entry.seesMore) continue;
    const char* file = std::strrchr(entry.place.file, '/');
    all += std::string(all.empty() ? "" : ", ") + (file == nullptr ? "" : file + 1) + ":" + std::to_string(entry.place.line) + entry.word;
  }
  return all;
}

std::vector<SiteSeen> Coverage::sites() {
  std::vector<SiteSeen> sites;
  for (const Entry& entry : entries) {
    if (entry.times == 0) continue;
    sites.push_back({entry.place, entry.verb, entry.times, entry.followsStore, entry.acts,
                     functionOf(entry.place) + ", " + nameOf(entry.verb) + entry.word});
  }
  std::sort(sites.begin(), sites.end(), [](const SiteSeen& a, const SiteSeen& b) {
    const int files = std::strcmp(a.place.file, b.place.file);
    if (files != 0) return files < 0;
    return std::tuple(a.place.line, a.place.column, a.verb) < std::tuple(b.place.line, b.place.column, b.verb);
  });
  std::map<std::string, int> count;
  for (SiteSeen& site : sites) {
    const int number = count[site.name] += 1;
    if (number > 1) site.name += " (" + std::to_string(number) + ")";
  }
  return sites;
}

size_t Coverage::kills() {
  return pairs([](const Entry& entry) { return entry.killed; });
}
size_t Coverage::mortals() {
  return pairs([](const Entry& entry) { return entry.mortal; });
}
size_t Coverage::stops() {
  return pairs([](const Entry& entry) { return entry.stopped; });
}
size_t Coverage::stoppables() {
  return pairs([](const Entry& entry) { return entry.stoppable; });
}

void Coverage::forget() {
  for (Entry& entry : entries) entry = {};
}

}  // namespace ringfence::explore

bool ringfence::planted(const char* defect) { return std::strcmp(defect, ringfence::explore::plantedDefect) == 0; }
