#include "claims.h"

#include <cstring>
#include <tuple>

#include "region/claim_locks.h"
#include "region/epochs.h"
#include "region/futex.h"
#include "region/planted.h"
#include "region/quantities.h"
#include "region/token.h"

namespace ringfence {

namespace {

using Acknowledged = SessionLine::Acknowledged;

// Whether the sequencer has ended the reader. A present epoch that is not served yet has ended none: the place stays
// taken until one serves.
bool readerEnded(const Region& region, uint32_t topic, uint32_t i, uint64_t generation) {
  EpochView view(region);
  if (!view.look() || view.epoch() == 0) return false;
  const auto& line = region.readerEnd(view.epoch(), topic, i);
  return region.publication().observe<&ReaderEnd::endedGeneration>(line) == generation && view.believes();
}

// A topic that was freed meanwhile counts as ordered: its session is refused, its reader turned away.
Claim claimOf(const Region& region, TopicPlace place, uint32_t slot, uint64_t generation, uint64_t clientId) {
  Claim claim{slot, generation, clientId, false, false, place.index};
  TopicView topic{};
  if (place.index >= region.layout().geometry.topics) return claim;
  if (topicAt(region, place.index, topic) != TopicState::declared || topic.generation != place.generation) return claim;
  claim.unordered = topic.order == orderNone;
  claim.durable = topic.ack == ackDurable;
  return claim;
}

}  // namespace

// SYNC: `generation` is published last and pairs with the observe in sequencing::lookAtClaim and grantLanes.
Status claimClient(Region& region, TopicPlace topic, Claim& claim, const IdentityClaim& identity) {
  const Publication& p = region.publication();
  const Geometry& g = region.layout().geometry;
  const auto free = [&](uint32_t i) { return slotState(region, i) == SlotState::free; };
  const auto take = [&](uint32_t i, role::Claimant claimant) {
    auto& shared = region.client(i).claim;
    ClientClaim taken{};
    taken.generation = p.observe<&ClientClaim::generation>(shared) + 1;
    taken.process = region.slot();
    taken.processGeneration = region.generation();
    taken.topic = topic.index;
    taken.topicGeneration = topic.generation;
    if (identity.slot >= 0) {
      taken.identity = static_cast<uint32_t>(identity.slot) + 1;
      taken.identityGeneration = identity.generation;
      taken.continues = identity.continues;
    }
    // SYNC: the fence orders the observed closing before the writes below: a sequencer that copies any of them also
    // sees that the former claim was closed (sequencing::lookAtClaim).
    static_cast<void>(p.fullFence());
    p.on(claimant, shared).allBut<&ClientClaim::generation>(taken).publish<&ClientClaim::generation>(taken.generation);
    claim = claimOf(region, topic, i, taken.generation, sessionIdOf(g, i, taken.generation));
  };
  uint64_t busy = 0;
  const bool claimed = claimSlot(region, Table::sessions, 0, g.clients, busy, free, take);
  // Wake the sequencer even without a claim: it may free the slot of a client that was killed.
  region.wakeSequencer(sleepsForData | sleepsForRoom);
  if (claimed) region.wakeProcesses(sleepsForAdmission);
  if (claimed) return Status::fine();
  if (busy != g.clients) return slotBusy(region, Table::sessions, busy);
  return Status::failed("full", "all " + formatCount(g.clients) + " session slots are taken");
}

// Decides by the sequencer's lines, and by the client's if the sequencer has not adopted the session: a stopped
// sequencer must not keep the slots of clients that gave up waiting for it. While one process takes the log over from
// another nothing is over.
bool sessionOver(const Region& region, uint32_t client, uint64_t generation) {
  const Publication& p = region.publication();
  if (generation == 0) return true;
  EpochView view(region);
  if (!view.look()) return false;
  uint64_t adopted = 0;
  uint64_t ended = 0;
  if (view.epoch() != 0) {
    const auto& line = region.sessionLine(view.epoch(), client).acknowledged;
    std::tie(adopted, ended) = p.observe<&Acknowledged::generation, &Acknowledged::endedGeneration>(line);
  }
  const bool over = ended == generation ||
                    (adopted != generation && p.observe<&ClientLine::closingGeneration>(region.client(client).line) == generation);
  return over && view.believes();
}

// SYNC: observes the closing, which a client publishes behind its last store in the lanes (LaneWriter::close). A dead
// client's stores come before the release of its lock by the system.
SlotState slotState(const Region& region, uint32_t client) {
  const Publication& p = region.publication();
  const ClientClaim claim = p.snapshot<&ClientClaim::generation>(region.client(client).claim);
  if (claim.generation == 0) return SlotState::free;
  if (!sessionOver(region, client, claim.generation)) return SlotState::inUse;
  if (p.observe<&ClientLine::closingGeneration>(region.client(client).line) == claim.generation) return SlotState::free;
  if (planted("the slot of a living client is given on")) return SlotState::free;
  return region.processAlive(claim.process, claim.processGeneration) ? SlotState::quarantined : SlotState::free;
}

uint32_t sessionsEnding(const Region& region) {
  const Publication& p = region.publication();
  uint32_t ending = 0;
  for (uint32_t i = 0; i < region.layout().geometry.clients; i += 1) {
    const ClientClaim claim = p.snapshot<&ClientClaim::generation>(region.client(i).claim);
    if (sessionOver(region, i, claim.generation)) continue;
    const bool closing = p.observe<&ClientLine::closingGeneration>(region.client(i).line) == claim.generation;
    if (closing || !region.processAlive(claim.process, claim.processGeneration)) ending += 1;
  }
  return ending;
}

uint32_t readersEnding(const Region& region, uint32_t topic) {
  const Publication& p = region.publication();
  uint32_t ending = 0;
  for (uint32_t i = 0; i < region.layout().geometry.readers; i += 1) {
    const ReaderSlot& slot = region.reader(topic, i);
    // SYNC: pairs with the publish in claimReader, which writes the owner before the generation.
    const uint64_t generation = p.observe<&ReaderClaim::generation>(slot.claim);
    const ReaderClaim claim = p.copy(slot.claim);
    if (generation == 0 || claim.generation != generation) continue;
    if (p.observe<&ReaderLine::detachedGeneration>(slot.line) == generation) continue;
    if (readerEnded(region, topic, i, generation)) continue;
    if (region.processAlive(claim.process, claim.processGeneration)) continue;
    // A place taken again meanwhile belongs to a living reader.
    if (p.observe<&ReaderClaim::generation>(slot.claim) == generation) ending += 1;
  }
  return ending;
}

// SYNC: publishes `generation` last; pairs with the observes in sequencing::attachedMinimum and
// sequencing::endDeadReaders. Then fences and reads the topic's mark; the sequencer publishes the mark, fences, and reads
// the claims (sequencing::freeTopic). So no topic is freed under a reader, and no reader stays with a freed topic.
Status claimReader(Region& region, TopicPlace topic, const std::string& name, Claim& claim) {
  const Publication& p = region.publication();
  const uint32_t readers = region.layout().geometry.readers;
  const auto free = [&](uint32_t i) {
    const ReaderSlot& slot = region.reader(topic.index, i);
    const uint64_t generation = p.observe<&ReaderClaim::generation>(slot.claim);
    return generation == 0 || p.observe<&ReaderLine::detachedGeneration>(slot.line) == generation ||
           readerEnded(region, topic.index, i, generation);
  };
  const auto take = [&](uint32_t i, role::Claimant claimant) {
    auto& shared = region.reader(topic.index, i).claim;
    ReaderClaim taken{};
    taken.generation = p.observe<&ReaderClaim::generation>(shared) + 1;
    taken.process = region.slot();
    taken.processGeneration = region.generation();
    std::memcpy(taken.name, name.data(), name.size() < nameBytes ? name.size() : nameBytes - 1);
    p.on(claimant, shared).allBut<&ReaderClaim::generation>(taken).publish<&ReaderClaim::generation>(taken.generation);
    claim = {i, taken.generation, 0, false, false, topic.index};
  };
  uint64_t busy = 0;
  const uint64_t first = uint64_t{topic.index} * readers;
  if (claimSlot(region, Table::readers, first, readers, busy, free, take)) {
    const TopicStay stay = topicStays(region, p.fullFence(), topic);
    // Asked behind the mark: ahead of it a deposed sequencer may have freed the topic, which its successor has kept.
    if (stay == TopicStay::stays) {
      claim = claimOf(region, topic, claim.slot, claim.generation, 0);
      return Status::fine();
    }
    leavePlace(region, topic.index, claim.slot, claim.generation);
    if (stay == TopicStay::undecided) return recovering();
    return Status::failed("gone", "the topic was freed, because no session and no reader used it");
  }
  if (busy != first + readers) return slotBusy(region, Table::readers, busy);
  return Status::failed("full", "all " + formatCount(readers) + " reader slots of the topic are taken");
}

void leavePlace(const Region& region, uint32_t topic, uint32_t reader, uint64_t generation) {
  region.publication()
      .on(role::IndexReader(), region.reader(topic, reader).line)
      .set<&ReaderLine::leftNanos>(monotonicNanos())
      .publish<&ReaderLine::detachedGeneration>(generation);
}

}  // namespace ringfence
