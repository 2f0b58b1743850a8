// Plants the defects that have names, one at a time: those of the protocols (region/planted.h), and faults of single
// stores, write-backs and invalidations. Checks whether a schedule finds each.
#pragma once

#include "search.h"

namespace ringfence::explore {

// False when one is not found.
bool defects(const Limits& limits);

}  // namespace ringfence::explore
