// A process of a configuration: its attachment and its waiting, made ahead of the schedule, and kept until it is over;
// and its patience.
#pragma once

#include "explore/world.h"

namespace ringfence::explore {

struct Attached {
  Program program;
  std::shared_ptr<Region> region;
  std::shared_ptr<Sleeper> sleeper;

  Attached(const Region& made, const std::string& name, bool sleeps = true, bool mortal = true);
};

// The region that all processes share, made by a process that is never killed and does nothing else.
std::shared_ptr<Region> made(const Geometry& geometry);

// The pauses of a process that tries for what another one holds. A stopped process keeps what it holds until it goes on,
// which is no failure: a bounded number of attempts counts from then on.
class Patience {
 public:
  // Pauses, for the next attempt. False when there were enough of them.
  bool lasts();

 private:
  uint32_t attempts_ = 0;
  uint32_t wentOn_ = Scheduler::now().wentOn();
};

}  // namespace ringfence::explore
