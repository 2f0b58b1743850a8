// The configurations of order `none`: readers that scan the lanes, and the sequencer, which releases lanes and sessions
// after them.
#pragma once

#include "explore/world.h"

namespace ringfence::explore {

Protocol lanesProtocol();

}  // namespace ringfence::explore
