// What a pass of the sequencer costs in a region of that size with one session: as its thread makes it between two sleeps,
// while nothing is published and with one batch in each, and one that looks at everything.
#pragma once

#include <cstdint>

#include "region/region.h"

namespace ringfence {

struct PassCost {
  double idleNanos = 0;
  double batchNanos = 0;  // with the publishing of the batch
  double wholeNanos = 0;
};

Status passCost(uint32_t brokers, uint32_t clients, PassCost& cost);

}  // namespace ringfence
