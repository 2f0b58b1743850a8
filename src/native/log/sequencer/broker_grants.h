#pragma once

#include "region/region.h"

namespace ringfence {

// A broker's side of the admission: grants the lanes of clients that asked and were adopted. Returns how many.
uint32_t grantLanes(const Region& region, uint32_t broker);

}  // namespace ringfence
