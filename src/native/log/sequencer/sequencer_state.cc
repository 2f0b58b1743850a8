#include "sequencer_state.h"

namespace ringfence::sequencing {

SequencerState emptyState(const Region& region, const SequencerOptions& options, role::Sequencer role) {
  const Geometry& g = region.layout().geometry;
  Lane lane;
  lane.scanned = lane.released = lane.firstIndex = lane.trim = options.first.laneIndex;
  lane.payloadEnd = options.first.payloadPosition;
  lane.state.assign(g.laneSlots, Slot::none);
  lane.topic.assign(g.laneSlots, 0);
  lane.entry.assign(g.laneSlots, 0);
  lane.start.assign(g.laneSlots, 0);
  lane.messages.assign(g.laneSlots, 0);
  return {.region = region,
          .publication = region.publication(),
          .role = role,
          .geometry = g,
          .options = options,
          .sessions = std::vector<Session>(g.clients),
          .identities = std::vector<IdentityRecord>(region.layout().identities()),
          .lanes = std::vector<Lane>(region.layout().lanes(), lane)};
}

}  // namespace ringfence::sequencing
