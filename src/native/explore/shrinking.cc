#include "shrinking.h"

#include "run_once.h"

namespace ringfence::explore {

Schedule shrunk(const Configuration& configuration, Schedule schedule) {
  constexpr uint64_t stepsMax = 4'000'000;  // of all runs: one that fails because it goes on for ever has 200,000
  uint64_t steps = 0;
  for (bool fewer = true; fewer;) {
    fewer = false;
    for (size_t i = 0; i < schedule.size() && steps < stepsMax;) {
      Schedule without = schedule;
      without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
      const bool fails = !runOnce(configuration, without).empty();
      steps += Scheduler::now().steps();
      if (!fails) {
        i += 1;
        continue;
      }
      schedule = without;
      fewer = true;
    }
  }
  return schedule;
}

}  // namespace ringfence::explore
