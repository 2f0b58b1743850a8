// The configurations of replicas of which a killed process, or a former server, has left something.
#pragma once

#include <vector>

#include "explore/world.h"

namespace ringfence::explore {

std::vector<Configuration> replicasRest();

}  // namespace ringfence::explore
