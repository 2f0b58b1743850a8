#pragma once

#include <string>

#include "priorities.h"
#include "world.h"

namespace ringfence::explore {

// Runs one schedule. Returns its failure, or an empty text.
std::string runOnce(const Configuration& configuration, const Schedule& schedule, bool tracing = false,
                    Priorities* order = nullptr);

}  // namespace ringfence::explore
