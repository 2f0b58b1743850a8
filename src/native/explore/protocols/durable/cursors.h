// The configurations of named cursors.
#pragma once

#include "explore/world.h"

namespace ringfence::explore {

Protocol cursorsProtocol();

}  // namespace ringfence::explore
