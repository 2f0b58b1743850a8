// Round trips between two threads of this process, each as bare as it can be: what the system's own are held against.
#pragma once

#include <cstdint>

#include "region/region.h"

namespace ringfence {

struct RoundTrips {
  double p50Micros = 0;
  double p99Micros = 0;
};

// One futex each way, both threads asleep in between.
Status futexRoundTrips(uint32_t trips, RoundTrips& found);

// A message of 64 bytes each way through two rings of a region of its own. A thread that waits sleeps on its process's
// doorbell, or looks again and again.
Status ringRoundTrips(uint32_t trips, bool asleep, RoundTrips& found);

}  // namespace ringfence
