// What the lines of a log must say once all is at rest: the counts that nothing is decided by agree with those that the
// protocol is decided by, and with what their writers know.
#pragma once

#include <cstdint>
#include <vector>

#include "explore/world.h"
#include "log/lane_writer.h"
#include "log/sequencer/sequencer.h"

namespace ringfence::explore {

// Of the lines that the sequencer writes, when all actors of its process rest.
void expectSequencerLines(const Region& region, Sequencer& sequencer, const std::vector<SessionReport>& reports);

// Of the lines that the lane writer writes, as long as the slot has no other session; with the records that it has
// written on each broker.
void expectProducerLines(const Region& region, const LaneWriter& lanes, const std::vector<uint64_t>& records);

}  // namespace ringfence::explore
