// Leases: a session whose gap lasts longer than the lease is ended, so that what it holds up goes on.
#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

// Counts the gaps towards the lease, behind the scan of the lanes, and ends the sessions that have outlived it. True when it
// ended one.
bool endOutlivedSessions(SequencerState& order);

// How often a sequencer wakes at least while a gap counts; also the most that one pass counts.
uint64_t leaseStepNanos(const SequencerState& order);

}  // namespace ringfence::sequencing
