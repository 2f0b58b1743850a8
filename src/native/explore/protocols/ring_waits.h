// Configurations of processes that sleep until a ring's reader progresses.
#pragma once

#include <vector>

#include "explore/world.h"

namespace ringfence::explore {

std::vector<Configuration> ringWaits();

}  // namespace ringfence::explore
