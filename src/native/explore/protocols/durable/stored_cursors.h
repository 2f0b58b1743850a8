// The configurations of holders that wait until replicas have stored what they commit.
#pragma once

#include <vector>

#include "explore/world.h"

namespace ringfence::explore {

std::vector<Configuration> storedCursors();

}  // namespace ringfence::explore
