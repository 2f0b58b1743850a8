// Reports the readers that hold room back; the gaps of sessions are in their reports.
#include <cstring>

#include "sequencer.h"

namespace ringfence {

std::vector<GateReport> Sequencer::gates() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<GateReport> reports;
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    const Topic& topic = topics_[t];
    if (topic.gating == 0) continue;
    const uint32_t i = static_cast<uint32_t>(topic.gating - 1);
    const ReaderSlot& slot = region_->reader(t, i);
    const ReaderClaim claim = p_.copyOut(slot.claim);
    const ProcessPid pid = region_->pidOf(claim.process);
    const uint64_t cursor = p_.observe(slot.line.cursor);
    reports.push_back({topic.name, i, pid, std::string(claim.name, strnlen(claim.name, nameBytes)),
                       cursor < topic.committed ? topic.committed - cursor : 0, topic.gatingSinceNanos});
  }
  return reports;
}

}  // namespace ringfence
