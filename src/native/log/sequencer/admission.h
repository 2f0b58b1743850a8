#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

// The last session of the slot that its client has closed.
uint64_t closingOf(const SequencerState& order, uint32_t client);

bool adoptSessions(SequencerState& order, Sweep sweep);

}  // namespace ringfence::sequencing
