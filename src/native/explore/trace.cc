#include "trace.h"

#include <cstdio>
#include <cstring>

#include "arena.h"
#include "line_names.h"

namespace ringfence::explore {

namespace {

bool shows = false;

void line(const std::string& what, const memory::Site* site) {
  const Scheduler& scheduler = Scheduler::now();
  const Actor* actor = scheduler.current();
  if (actor == nullptr || !scheduler.exploring()) return;
  const char* file = site == nullptr ? "" : site->place().file;
  const char* slash = std::strrchr(file, '/');
  const std::string where = site == nullptr ? "" : std::string(slash == nullptr ? file : slash + 1) + ":" + std::to_string(site->place().line);
  std::printf("  %4u %-16s %-64s %s\n", actor->step, actor->name.c_str(), what.c_str(), where.c_str());
}

}  // namespace

void Trace::show(bool shown) { shows = shown; }

void Trace::verb(Verb verb, const Word& word, uint64_t value, const memory::Site& site) {
  if (!shows) return;
  const OutsideArena outside;
  Spot spot{word.file, word.offset + static_cast<uint64_t>(__builtin_ctzll(word.mask)) / 8};
  char text[32];
  std::snprintf(text, sizeof(text), value < 0x100000 ? "%llu" : "%#llx", static_cast<unsigned long long>(value));
  line(std::string(nameOf(verb)) + " " + nameOf(spot) + " = " + text, &site);
}

void Trace::verb(Verb verb, const memory::Site& site) {
  if (!shows) return;
  const OutsideArena outside;
  line(nameOf(verb), &site);
}

void Trace::call(const std::string& text) {
  if (!shows) return;
  const OutsideArena outside;
  line(text, nullptr);
}

void Trace::note(const std::string& text) {
  if (shows) std::printf("%s\n", text.c_str());
}

void Trace::say(const std::string& text) {
  if (!shows) return;
  const OutsideArena outside;
  line(text, nullptr);
}

}  // namespace ringfence::explore
