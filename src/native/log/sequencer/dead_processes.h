#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

// True when it found a session's process dead.
bool endDeadSessions(SequencerState& order);

// Returns the readers that it found dead.
std::vector<DeadReader> endDeadReaders(SequencerState& order);

}  // namespace ringfence::sequencing
