#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

bool epochDue(const SequencerState& order);

bool commit(SequencerState& order);

}  // namespace ringfence::sequencing
