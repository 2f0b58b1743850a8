#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

// Ends a session whose client wrote impossible values: takes no further batch of it.
void endAsCorrupt(SequencerState& order, uint32_t client);

bool endSessions(SequencerState& order);

}  // namespace ringfence::sequencing
