// Looks for a schedule that fails: all of up to so many deviations, then such with more of them, at random. What it finds
// it makes as short as it can.
#pragma once

#include <functional>

#include "world.h"

namespace ringfence::explore {

struct Limits {
  uint32_t deviations = 2;       // all schedules with so many at most
  uint64_t randomSchedules = 0;  // and then so many with more: in turn by single deviations, and by priorities
  uint64_t schedules = ~uint64_t{0};
  double seconds = 1e9;
  uint64_t seed = 1;
  uint64_t directed = 0;  // ahead of all others: around so many at random, what the planted fault alone lets happen
  uint64_t nearSchedules = 0;  // ahead of all others: so many at random, with deviations near the planted fault
};

struct Found {
  std::string failure;  // empty: none
  Schedule schedule;
  uint64_t schedules = 0;
  uint64_t steps = 0;
  double seconds = 0;
  uint32_t exhausted = 0;  // all schedules of up to so many deviations were run
  bool whole = false;      // none was left out for want of time
  uint32_t points = 0;     // steps of the schedule without deviations
};

// Runs one schedule; what failed, or nothing.
std::string runOnce(const Configuration& configuration, const Schedule& schedule, bool tracing = false,
                    Priorities* order = nullptr);
Found search(const Configuration& configuration, const Limits& limits);
// The same failure, or another, by as few deviations as can be.
Schedule shrunk(const Configuration& configuration, Schedule schedule);

}  // namespace ringfence::explore
