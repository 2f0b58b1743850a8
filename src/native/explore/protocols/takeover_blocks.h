// Configurations of takeover in which a later epoch has the block of an earlier one.
#pragma once

#include <vector>

#include "explore/world.h"

namespace ringfence::explore {

std::vector<Configuration> takeoverBlocks();

}  // namespace ringfence::explore
