#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

bool scanLanes(SequencerState& order);

// The batch of that number is published in the lane.
bool descriptorReady(const SequencerState& order, uint32_t at, uint64_t index);

}  // namespace ringfence::sequencing
