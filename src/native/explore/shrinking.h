#pragma once

#include "world.h"

namespace ringfence::explore {

// Shortens a schedule that fails: it fails still, in the same way or another, with as few deviations as possible.
Schedule shrunk(const Configuration& configuration, Schedule schedule);

}  // namespace ringfence::explore
