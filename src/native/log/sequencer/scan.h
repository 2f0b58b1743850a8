#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

bool scanLanes(SequencerState& order, Sweep sweep);

// Ends the sessions with a hole in one of their lanes. True when it found one.
bool endSessionsWithHoles(SequencerState& order);

// Whether the lane's descriptor with that index is published: then the right to read its payload.
std::optional<Seen<Payload>> descriptorReady(const SequencerState& order, uint32_t at, uint64_t index);

}  // namespace ringfence::sequencing
