// The log outlives its server: one process takes it over from another that died, or is suspected to be stuck.
#pragma once

#include "explore/world.h"

namespace ringfence::explore {

Protocol takeoverProtocol();

}  // namespace ringfence::explore
