// Schedules with random priorities (Burckhardt and others, "A randomized scheduler with probabilistic guarantees of
// finding bugs", 2010): of the actors that can run, the one with the highest priority runs. At a few steps, drawn ahead,
// the actor that runs gets the lowest priority of all. A failure that needs d such orderings among k steps of n actors is
// found by one schedule with a probability of at least 1/(n·k^(d-1)), however far the steps lie apart.
#pragma once

#include <cstdint>
#include <vector>

#include "schedule.h"

namespace ringfence::explore {

class Priorities {
 public:
  // `steps` is about the length of a schedule.
  Priorities(uint64_t seed, uint32_t steps);

  // Draws the strays and the changes of priority anew from `seed`, all of them near that step.
  void gather(uint32_t step, uint64_t seed);

  // Removes the strays and the end of a process.
  void straightens() {
    strays_.clear();
    ends_ = 0;
  }

  // The actor with the highest priority among those whose bits are set, of which there is at least one.
  uint8_t highest(uint16_t actors) const;
  // Called at each step that the schedule makes.
  void count(uint8_t actor);

  // Besides the order: whether the step counted last is held or sees an older value, and whether its process is killed
  // or stopped there, if it can be.
  bool strays() const { return holds(strays_, now_); }
  bool ends() const { return now_ >= ends_ && ends_ != 0; }
  void ended() { ends_ = 0; }
  bool endsByDeath() const { return byDeath_; }
  uint8_t older() const { return older_; }

 private:
  static bool holds(const std::vector<uint32_t>& steps, uint32_t step);
  uint64_t random();

  uint64_t seed_;
  uint32_t priority_[actorsMax];
  std::vector<uint32_t> changes_;
  std::vector<uint32_t> strays_;
  uint32_t ends_ = 0;
  bool byDeath_ = false;
  uint8_t older_ = 1;
  uint32_t lowest_ = actorsMax;
  uint32_t now_ = 0;
};

}  // namespace ringfence::explore
