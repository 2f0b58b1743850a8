// What a verb of the publication discipline costs, beside the same loads, stores and fences written by hand.
#pragma once

#include <vector>

#include "region/status.h"

namespace ringfence {

struct VerbCost {
  const char* verb;
  // Nanoseconds, the least of many rounds: others measure what disturbed the round.
  double byHand;
  double coherent;
  double flushed;  // negative where this processor cannot flush
};

// Takes about two seconds, on the calling thread.
Status verbCosts(std::vector<VerbCost>& found);

}  // namespace ringfence
