// Reports the readers that hold room; reportSessions() has the gaps of sessions.
#include "stalls.h"

#include <cstring>

#include "unordered_release.h"

namespace ringfence::sequencing {

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

}  // namespace ringfence::sequencing
