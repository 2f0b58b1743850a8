#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

// True when a session's process was found dead.
bool endDeadSessions(SequencerState& order);

// Tells which readers those were.
std::vector<DeadReader> endDeadReaders(SequencerState& order);

}  // namespace ringfence::sequencing
