// Order `none`: releases the room of lanes, and lets sessions end, once all attached readers have taken the batches. The
// sequencer takes no part in the delivery; it follows the lanes in its own time.
//
//       taken by all readers    taken by some    found by none
//   ┌───────────────────────┬─────────────────┬───────────────┐
//  trim                  slowest           fastest        published
#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

bool unordered(const SequencerState& order, uint32_t client);
bool anyUnordered(const SequencerState& order);

// Notes a published batch, which its readers may have taken long ago.
void noteUnordered(SequencerState& order, uint32_t client, uint32_t lane, const Descriptor& descriptor);

// Counts as delivered what every attached reader has released.
bool followLanes(SequencerState& order);

// Releases a quarter of the lane or, if the readers have not come so far, less. False when they hold all of it.
bool releaseTaken(SequencerState& order, uint32_t lane);

// Names the readers for which sessions that have closed or died cannot end yet.
void noteUntaken(SequencerState& order);

// Whether the session may end: all attached readers have taken its batches, and no later reader will read its lanes.
bool letGo(SequencerState& order, uint32_t client);

// Frees what the lanes keep of a session that ends.
void dropTaken(SequencerState& order, uint32_t client);

// The batches that the reader of that slot and generation has not released.
uint64_t behindOf(const SequencerState& order, uint32_t topic, uint32_t reader, uint64_t generation);

// Wakes the sleeping readers that hold back a lane: their cursors may be damaged, or a publisher was stopped before it
// could ring.
void ringHolders(const SequencerState& order);

}  // namespace ringfence::sequencing
