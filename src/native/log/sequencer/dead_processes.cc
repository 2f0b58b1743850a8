// Ends the sessions and the readers of dead processes.
#include "dead_processes.h"

#include <cstring>

#include "admission.h"
#include "region/futex.h"
#include "topic_places.h"

namespace ringfence::sequencing {

namespace {

// Whether the reader has left, or another one has its place.
bool leftItsPlace(const SequencerState& order, const ReaderSlot& slot, uint64_t generation) {
  const Publication p = order.publication;
  return p.observe<&ReaderLine::detachedGeneration>(slot.line) == generation ||
         p.observe<&ReaderClaim::generation>(slot.claim) != generation;
}

}  // namespace

// SYNC: looks whether the session was closed once its process is gone: a client may close it and leave at any moment.
bool endDeadSessions(SequencerState& order) {
  bool ended = false;
  for (uint32_t i = 0; i < order.sessions.size(); i += 1) {
    Session& session = order.sessions[i];
    if (!session.active || session.ending) continue;
    if (order.region.processAlive(session.process, session.processGeneration)) continue;
    session.ending = true;
    session.endReason = closingOf(order, i) == session.generation ? endClosed : endDied;
    ended = true;
  }
  return ended;
}

// SYNC: looks whether the reader has left once its process is gone, too: a reader may detach and leave at any moment.
std::vector<DeadReader> endDeadReaders(SequencerState& order) {
  const Publication p = order.publication;
  std::vector<DeadReader> ended;
  // A topic without sessions may have readers.
  adoptTopics(order);
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    for (uint32_t i = 0; i < order.geometry.readers; i += 1) {
      const ReaderSlot& slot = order.region.reader(t, i);
      // SYNC: pairs with the publish in claimReader, which writes the owner before the generation.
      const uint64_t generation = p.observe<&ReaderClaim::generation>(slot.claim);
      const ReaderClaim claim = p.copy(slot.claim);
      auto& end = order.region.readerEnd(order.epoch, t, i);
      if (generation == 0 || claim.generation != generation) continue;
      if (p.own<&ReaderEnd::endedGeneration>(order.role, end) == generation) continue;
      if (leftItsPlace(order, slot, generation) || order.region.processAlive(claim.process, claim.processGeneration)) continue;
      if (leftItsPlace(order, slot, generation)) continue;
      p.on(order.role, end).publish<&ReaderEnd::endedGeneration>(claim.generation);
      const ProcessPid pid = order.region.pidOf(claim.process);
      order.topics[t].usedNanos = monotonicNanos();
      ended.push_back({order.topics[t].name, i, pid, std::string(claim.name, strnlen(claim.name, nameBytes))});
    }
  }
  return ended;
}

}  // namespace ringfence::sequencing
