// Plants one fault at a time, at each site of the protocols, and looks whether a schedule finds it.
#pragma once

#include <string>

#include "search.h"

namespace ringfence::explore {

// The table of sites and verdicts, printed. False when a fault is not found, or a site is not executed.
// Those sites alone whose name has `part`; all, where it is empty.
// One configuration alone looks for them, where it is named.
bool mutants(const std::string& protocol, const std::string& configuration, const std::string& part, const Limits& limits);

// The same for the defects of region/planted.h. False when one is not found.
bool defects(const Limits& limits);

}  // namespace ringfence::explore
