// Looks for a schedule that fails: first all schedules of up to a number of deviations, then random ones with more. It
// shortens what it finds.
#pragma once

#include "run_once.h"

namespace ringfence::explore {

struct Limits {
  uint32_t deviations = 2;       // all schedules with at most this many
  uint64_t randomSchedules = 0;  // then this many with more: in turn by single deviations, and by priorities
  uint64_t schedules = ~uint64_t{0};
  double seconds = 1e9;
  uint64_t seed = 1;
  // Before all others, around this many random ones: what the planted fault alone lets a load see once another actor has
  // run shortly ahead of it.
  uint64_t around = 0;
  uint64_t directed = 0;  // before all others: what the planted fault alone lets happen, around this many random ones
  uint64_t heldLines = 0;  // before all others, around this many random ones: lines that are held ahead of the planted fault
  uint64_t nearSchedules = 0;  // before all others: this many random ones, with deviations near the planted fault
};

struct Found {
  std::string failure;  // empty: none
  Schedule schedule;
  uint64_t schedules = 0;
  uint64_t steps = 0;
  double seconds = 0;
  uint32_t exhausted = 0;  // all schedules of up to this many deviations were run
  bool whole = false;      // the time was enough for all schedules
  uint32_t points = 0;     // steps of the schedule without deviations
};

Found search(const Configuration& configuration, const Limits& limits);
// Searches keep, of each configuration, schedules that reach the planted fault. Called where another fault is planted.
void forgetReached();

}  // namespace ringfence::explore
