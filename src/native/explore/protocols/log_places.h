// Configurations of the log in which readers and topics take places, leave them and lose them.
#pragma once

#include <vector>

#include "explore/world.h"

namespace ringfence::explore {

std::vector<Configuration> logPlaces();

}  // namespace ringfence::explore
