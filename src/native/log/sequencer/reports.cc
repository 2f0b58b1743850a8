#include "reports.h"

#include <cstring>

#include "sequencer_state.h"
#include "unordered.h"

namespace ringfence::sequencing {

namespace {

constexpr size_t endedLimit = 1024;  // ended sessions kept until they are reported

bool isReported(const SequencerState& order, uint32_t client) {
  return order.sessions[client].generation != 0 && !order.sessions[client].refused;
}

SessionReport reportOf(const SequencerState& order, uint32_t client) {
  const Session& s = order.sessions[client];
  const bool ordered = s.order != orderNone;
  return {client, s.generation, s.id, s.topicName, s.order, s.process, order.region.pidOf(s.process), s.endReason, !s.active,
          ordered ? s.expected : s.seen, ordered ? s.expectedMessages : s.seenMessages, s.held, s.purged, s.gapSinceNanos};
}

}  // namespace

uint64_t heldBatches(const SequencerState& order) {
  uint64_t held = 0;
  for (const Session& session : order.sessions) held += session.active ? session.held : 0;
  return held;
}

std::vector<SessionReport> reportSessions(SequencerState& order) {
  std::vector<SessionReport> found;
  found.swap(order.untold);
  for (uint32_t i = 0; i < order.geometry.clients; i += 1) {
    if (!isReported(order, i)) continue;
    found.push_back(reportOf(order, i));
    order.sessions[i].told = !order.sessions[i].active;
  }
  return found;
}

std::vector<GateReport> reportGates(const SequencerState& order) {
  const Publication p = order.publication;
  std::vector<GateReport> reports;
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    const Topic& topic = order.topics[t];
    if (topic.gating == 0) continue;
    const uint32_t i = static_cast<uint32_t>(topic.gating - 1);
    const ReaderSlot& slot = order.region.reader(t, i);
    const ReaderClaim claim = p.copy(slot.claim);
    const ProcessPid pid = order.region.pidOf(claim.process);
    const uint64_t cursor = p.observe<&ReaderLine::cursor>(slot.line);
    const uint64_t behind = topic.order == orderNone ? behindOf(order, t, i, claim.generation)
                            : cursor < topic.committed ? topic.committed - cursor
                                                       : 0;
    reports.push_back({topic.name, i, pid, std::string(claim.name, strnlen(claim.name, nameBytes)), behind,
                       topic.gatingSinceNanos});
  }
  return reports;
}

void giveSlot(SequencerState& order, uint32_t client) {
  const bool untold = isReported(order, client) && !order.sessions[client].told;
  if (untold && order.untold.size() < endedLimit) order.untold.push_back(reportOf(order, client));
  order.sessions[client].told = false;
}

}  // namespace ringfence::sequencing
