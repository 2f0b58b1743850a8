#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

// The readers that hold room back; the gaps of sessions are in their reports.
std::vector<GateReport> reportGates(const SequencerState& order);

}  // namespace ringfence::sequencing
