// The total order. One pass does, in this order:
//
//   adopt topics and sessions ─► scan lanes ─► count leases ─► commit the epoch ─► end sessions
//   ─► answer wishes for a topic's place ─► follow readers ─► make room
//
//   scan lanes ─► window of the session ─► ready ─► commit: entries │ counts │ facts ─► acknowledgements
//                 (held: the batch stays in its lane)
//
// It publishes in this order, each part when the former is in memory. What a process believes of a later part is
// explained by the earlier ones, also for a successor (recovery.h), which reads them in the reverse order:
//
//   entries │ counts │ facts │ session lines │ ends │ identities │ trim ─ fence ─ cursors again ─ firm trim │ lane lines
//
// An adoption publishes the identity ahead of the session that gets it.
//
// Only the sequencer writes the block of its epoch. It decides by state in its own memory; values from shared memory
// are read once, checked, and then used.
#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

// True when anything has moved. With `commitNow` it commits the open epoch at once.
bool pass(SequencerState& order, bool commitNow);
// The same behind the fence that follows the sleep word: it sees what a publisher stored that found the sequencer awake.
bool pass(SequencerState& order, const Fenced&, bool commitNow);

}  // namespace ringfence::sequencing
