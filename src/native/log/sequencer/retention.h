#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

bool followReaders(SequencerState& order);

bool makeRoom(SequencerState& order);

// Gives the slots back that are done, up to the first that is not.
void releaseSlots(SequencerState& order, Lane& lane);

}  // namespace ringfence::sequencing
