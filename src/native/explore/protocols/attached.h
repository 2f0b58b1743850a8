// A process of a configuration: its attachment and its waiting, made ahead of the schedule, and kept until it is over.
#pragma once

#include "explore/world.h"

namespace ringfence::explore {

struct Attached {
  Program program;
  std::shared_ptr<Region> region;
  std::shared_ptr<Sleeper> sleeper;

  Attached(const Region& made, const std::string& name, bool sleeps = true, bool mortal = true);
};

// The region that all processes share, made by one that is never killed and does nothing else.
std::shared_ptr<Region> made(const Geometry& geometry);

}  // namespace ringfence::explore
