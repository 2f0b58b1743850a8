// Configurations in which processes leave the region, and others get their slots, their places and their rings.
#pragma once

#include <vector>

#include "explore/world.h"

namespace ringfence::explore {

std::vector<Configuration> logDepartures();
std::vector<Configuration> ringDepartures();
std::vector<Configuration> regionDepartures();

}  // namespace ringfence::explore
