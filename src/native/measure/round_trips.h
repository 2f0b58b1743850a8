// Round trips between two threads of this process, as bare as possible: the baseline for those of messages and calls.
#pragma once

#include <cstdint>

#include "region/region.h"

namespace ringfence {

struct RoundTrips {
  double p50Micros = 0;
  double p99Micros = 0;
};

// One futex each way; both threads sleep in between.
Status futexRoundTrips(uint32_t trips, RoundTrips& found);

// A message of 64 bytes each way through two rings of a region of its own. A waiting thread sleeps on its process's
// doorbell (`asleep`) or polls.
Status ringRoundTrips(uint32_t trips, bool asleep, RoundTrips& found);

}  // namespace ringfence
