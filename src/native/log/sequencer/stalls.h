#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

// The readers that hold room; reportSessions() has the gaps of sessions.
std::vector<GateReport> reportGates(const SequencerState& order);

}  // namespace ringfence::sequencing
