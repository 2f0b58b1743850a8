// Configurations of order `none` in which readers take their places, ahead of the log's start and under a session's end.
#pragma once

#include <vector>

#include "explore/world.h"

namespace ringfence::explore {

std::vector<Configuration> lanesPlaces();

}  // namespace ringfence::explore
