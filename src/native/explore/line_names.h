// Names of what lies in a region, by offset: "RingLead[0].position".
#pragma once

#include <string>

#include "address_space.h"
#include "region/layout.h"

namespace ringfence::explore {

// The region whose words are named: the first file of each schedule.
void nameAfter(const Layout& layout);
std::string nameOf(const Spot& spot);
// Of a lock on a byte of the file.
std::string nameOfLock(int64_t byte);

}  // namespace ringfence::explore
