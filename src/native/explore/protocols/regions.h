// The configurations of regions and of claims.
#pragma once

#include "explore/world.h"

namespace ringfence::explore {

Protocol regionProtocol();
Protocol claimProtocol();

}  // namespace ringfence::explore
