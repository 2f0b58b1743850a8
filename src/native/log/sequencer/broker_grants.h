#pragma once

#include "region/region.h"

namespace ringfence {

// A broker's side of the admission: grants lanes to adopted sessions. Returns how many it granted.
uint32_t grantLanes(const Region& region, uint32_t broker);

}  // namespace ringfence
