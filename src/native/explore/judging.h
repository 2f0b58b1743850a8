// Looks for a schedule that a planted fault breaks.
#pragma once

#include <string>
#include <vector>

#include "search.h"

namespace ringfence::explore {

struct Verdict {
  bool found = false;
  bool alsoWithout = false;  // the schedule fails without the fault, too
  bool acts = true;          // false: the verb had nothing to do in any schedule
  std::string configuration;
  std::string schedule;
  std::string failure;
  std::string seesMore{};  // where it is not found: the loads that could see a value that only the fault lets them see
};

using Tried = std::vector<const Configuration*>;

// Tries these configurations one after the other, at first with few schedules each.
Verdict judge(const Tried& tried, const Limits& limits);

// The same in a child process, because a planted fault may crash it or never return. Those that are tried ahead of all others
// have as much time as these have together.
class Judging {
 public:
  Judging(const Tried& first, const Tried& tried, const Limits& limits, void (*plant)(const void*), const void* what);
  Verdict verdict();

 private:
  int from_ = -1;
  int child_ = -1;
};

}  // namespace ringfence::explore
