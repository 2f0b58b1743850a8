// The configurations of order `none`: readers that scan the lanes, and the sequencer that gives lanes and sessions back
// behind them.
#pragma once

#include "explore/world.h"

namespace ringfence::explore {

Protocol lanesProtocol();

}  // namespace ringfence::explore
