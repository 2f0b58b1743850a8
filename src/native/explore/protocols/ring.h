// The configurations of rings.
#pragma once

#include "explore/world.h"

namespace ringfence::explore {

Protocol ringProtocol();

}  // namespace ringfence::explore
