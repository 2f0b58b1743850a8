#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

bool followReaders(SequencerState& order);

bool makeRoom(SequencerState& order);

// Releases the lane's finished slots, up to the first unfinished one.
void releaseSlots(SequencerState& order, Lane& lane);

}  // namespace ringfence::sequencing
