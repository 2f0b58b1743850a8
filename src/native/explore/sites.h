// All places in the protocols where a verb stands, executed or not: read out of this program's own file.
#pragma once

#include <vector>

#include "site.h"

namespace ringfence::explore {

// Sorted by file and line. The compiler writes a record of each place into the program's constants
// (std::source_location), also for code that no schedule reaches.
std::vector<Place> compiledPlaces();

// Whether the place is in the explorer's own code, which plays the users of the protocols.
bool ofTheExplorer(const Place& place);

}  // namespace ringfence::explore
