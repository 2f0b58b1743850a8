#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

// What its client wrote cannot be: nothing more is taken of it.
void endAsCorrupt(SequencerState& order, uint32_t client);

bool endSessions(SequencerState& order);

}  // namespace ringfence::sequencing
