#include "sequencer_state.h"

#include <algorithm>

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

void activate(SequencerState& order, uint32_t client) {
  if (order.sessions[client].active) return;
  order.sessions[client].active = true;
  order.active.insert(std::lower_bound(order.active.begin(), order.active.end(), client), client);
}

void deactivate(SequencerState& order, uint32_t client) {
  order.sessions[client].active = false;
  std::erase(order.active, client);
}

}  // namespace ringfence::sequencing
