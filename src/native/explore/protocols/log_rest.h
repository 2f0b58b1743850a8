// What the lines of a log must say once all is at rest: the counts that only report agree with those by which the
// protocol decides, and with what their writers know.
#pragma once

#include <cstdint>
#include <vector>

#include "explore/world.h"
#include "log/lane_writer.h"
#include "log/sequencer/sequencer.h"

namespace ringfence::explore {

// Checks the lines that the sequencer writes, when all actors of its process rest.
void expectSequencerLines(const Region& region, Sequencer& sequencer, const std::vector<SessionReport>& reports);

// Checks the lines that the lane writer writes, as long as the slot has no other session. `records`: what it has written
// on each broker.
void expectProducerLines(const Region& region, const LaneWriter& lanes, const std::vector<uint64_t>& records);

}  // namespace ringfence::explore
