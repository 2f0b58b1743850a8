// The configurations of doorbells.
#pragma once

#include "explore/world.h"

namespace ringfence::explore {

Protocol bellProtocol();

}  // namespace ringfence::explore
