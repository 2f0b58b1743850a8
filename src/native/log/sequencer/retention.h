#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

bool followReaders(SequencerState& order);

bool makeRoom(SequencerState& order);

// Whether the batches from `first` on leave less of the lane free than is kept free, a quarter, and `spare` parts more.
bool laneShort(const SequencerState& order, uint32_t lane, uint64_t first, uint32_t spare);
constexpr uint32_t spareParts = 32;  // of a lane
constexpr uint32_t spareNothing = 0;
constexpr uint32_t spareStride = 1;
constexpr uint32_t spareQuarter = 8;

// Releases the lane's finished slots, up to the first unfinished one.
void releaseSlots(SequencerState& order, Lane& lane);

}  // namespace ringfence::sequencing
