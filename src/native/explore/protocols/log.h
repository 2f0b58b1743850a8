// The configurations of the log.
#pragma once

#include "explore/world.h"

namespace ringfence::explore {

Protocol logProtocol();

}  // namespace ringfence::explore
