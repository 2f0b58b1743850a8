// Configurations of takeover in which a server is held up in the midst of its last pass.
#pragma once

#include <vector>

#include "explore/world.h"

namespace ringfence::explore {

std::vector<Configuration> takeoverHeld();

}  // namespace ringfence::explore
