#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

// Ends a session whose client wrote impossible values.
void endAsCorrupt(SequencerState& order, uint32_t client);

// Whether no further batch of the session is taken. Under order `none` the readers take what the lanes of a damaged
// session hold ahead of the damage, and so the scan goes on there, in their wake.
bool endsAtOnce(const SequencerState& order, uint32_t client);

bool endSessions(SequencerState& order);

}  // namespace ringfence::sequencing
