#include "schedule.h"

#include <cstdio>
#include <sstream>

namespace ringfence::explore {

namespace {

constexpr const char* names[kinds] = {"preempt", "kill", "stop", "next", "hold", "stale", "leak"};

}  // namespace

std::string textOf(const Schedule& schedule) {
  std::string text;
  for (const Deviation& d : schedule) {
    if (!text.empty()) text += ' ';
    text += std::to_string(d.actor) + ":" + std::to_string(d.step) + ":" + names[static_cast<uint8_t>(d.kind)];
    const bool without = d.kind == Kind::kill || d.kind == Kind::stop || (d.kind == Kind::hold && d.to == 0);
    if (!without) text += "=" + std::to_string(d.to);
  }
  return text;
}

bool scheduleOf(const std::string& text, Schedule& schedule) {
  std::istringstream words(text);
  std::string word;
  while (words >> word) {
    unsigned actor = 0;
    unsigned step = 0;
    unsigned to = 0;
    char name[16] = {};
    if (std::sscanf(word.c_str(), "%u:%u:%15[a-z]=%u", &actor, &step, name, &to) < 3) return false;
    uint8_t kind = 0;
    while (kind < kinds && std::string(name) != names[kind]) kind += 1;
    if (kind == kinds || actor >= actorsMax) return false;
    schedule.push_back({static_cast<uint8_t>(actor), static_cast<Kind>(kind), static_cast<uint8_t>(to), step});
  }
  return true;
}

}  // namespace ringfence::explore
