#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

bool adoptSessions(SequencerState& order);

}  // namespace ringfence::sequencing
