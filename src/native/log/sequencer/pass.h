// The total order. One pass does, in this order:
//
//   adopt topics and sessions ─► scan lanes ─► commit the epoch ─► end sessions ─► answer wishes for a topic's place
//   ─► follow readers ─► make room
//
//   scan lanes ─► window of the session ─► ready ─► commit: entries │ fence │ counts │ fence │ acknowledgements │ fence
//                 (held: the batch stays in its lane)
//
// The sequencer alone writes the block of its epoch. All it decides by lies in its own memory; shared memory is read once,
// checked, and then used.
#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

// True when anything has moved. `commitNow`: the epoch is not waited for.
bool pass(SequencerState& order, bool commitNow);

}  // namespace ringfence::sequencing
