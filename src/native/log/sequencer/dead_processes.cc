// Ends the sessions and the readers of processes that are dead.
#include <cstring>

#include "region/futex.h"
#include "sequencer.h"

namespace ringfence {

std::vector<Sequencer::DeadReader> Sequencer::endDead() {
  std::vector<DeadReader> ended;
  bool changed = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_) return ended;
    publishAgain();
    // A reader that gives back while the sequencer sleeps wakes it only where room is wanted.
    if (!paused_ && !options_.manual && followReaders()) publishAll();
    for (Session& session : sessions_) {
      if (!session.active || session.ending || region_->processAlive(session.process, session.processGeneration)) continue;
      session.ending = true;
      session.endReason = endDied;
      changed = true;
    }
    // A topic that no session publishes to yet has readers all the same.
    adoptTopics();
    for (uint32_t t = 0; t < topics_.size(); t += 1) {
      for (uint32_t i = 0; i < g_.readers; i += 1) {
        const ReaderSlot& slot = region_->reader(t, i);
        // SYNC: pairs with the publish in claimReader: what says whose it is was written before the generation.
        const uint64_t generation = p_.observe(slot.claim.generation);
        const ReaderClaim claim = p_.copyOut(slot.claim);
        uint64_t& end = region_->readerEnd(epoch_, t, i).endedGeneration;
        if (generation == 0 || claim.generation != generation || p_.read(end) == generation) continue;
        if (p_.observe(slot.line.detachedGeneration) == claim.generation) continue;
        if (region_->processAlive(claim.process, claim.processGeneration)) continue;
        if (p_.observe(slot.claim.generation) != claim.generation) continue;  // it was just taken again
        p_.publish(end, claim.generation);
        const ProcessPid pid = region_->pidOf(claim.process);
        topics_[t].usedNanos = monotonicNanos();
        ended.push_back({topics_[t].name, i, pid, std::string(claim.name, strnlen(claim.name, nameBytes))});
        changed = true;
      }
    }
  }
  if (changed) {
    BellLine& bell = region_->header().sequencerBell;
    p_.ring(bell.bell);
    futexWake(&bell.bell);
  }
  return ended;
}

}  // namespace ringfence
