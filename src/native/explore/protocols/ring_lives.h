// Configurations of rings in which names, claims and processes come and go.
#pragma once

#include <vector>

#include "explore/world.h"

namespace ringfence::explore {

std::vector<Configuration> ringLives();

}  // namespace ringfence::explore
