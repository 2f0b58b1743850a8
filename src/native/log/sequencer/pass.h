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
// Its cost follows the work: it goes through active sessions, changed lanes, and lanes that may lack room, which it knows by
// itself (SequencerState). What clients may have written it has to look at. A pass between two sleeps looks at all that
// belongs to a decision (closings, the lanes of a session that ends or lacks a batch), and at a share of the rest: of the
// lanes of each session, and of the slots that have none. The shares go round; and ahead of each sleep, behind it, and every
// 64th time a pass looks at everything. So nothing rests on a hint that a client may be killed ahead of.
//
// Only the sequencer writes the block of its epoch. It decides by state in its own memory; values from shared memory
// are read once, checked, and then used.
#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

// True when anything has moved. With `commitNow` it commits the open epoch at once.
bool pass(SequencerState& order, bool commitNow, Sweep sweep);
// A whole one behind the fence that follows the sleep word: it sees what a publisher stored that found the sequencer awake.
bool pass(SequencerState& order, const Fenced&);

}  // namespace ringfence::sequencing
