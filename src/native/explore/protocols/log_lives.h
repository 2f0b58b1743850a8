// Configurations of the log in which sessions, servers and topics come and go.
#pragma once

#include <vector>

#include "explore/world.h"

namespace ringfence::explore {

std::vector<Configuration> logLives();

}  // namespace ringfence::explore
