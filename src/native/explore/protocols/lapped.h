// A reader that holds nothing back, beside a publisher that laps it, and over servers that change.
#pragma once

#include "explore/world.h"

namespace ringfence::explore {

std::vector<Configuration> logLapped();
std::vector<Configuration> takeoverLapped();

}  // namespace ringfence::explore
