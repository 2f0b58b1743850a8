// The configurations of a log whose processes have looked before, and are told that something has changed since.
#pragma once

#include <vector>

#include "explore/world.h"

namespace ringfence::explore {

std::vector<Configuration> logLooks();

}  // namespace ringfence::explore
