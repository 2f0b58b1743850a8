// Publishes the sequencer's state in the block of its epoch: the lines of topics, lanes and sessions.
#include "publishing.h"

#include <cstring>

#include "identities.h"
#include "log/replicas.h"
#include "region/sealed_line.h"
#include "region/token.h"

namespace ringfence::sequencing {

namespace {

uint32_t unorderedTopic(const Session& session) { return session.order == orderNone ? session.topic + 1 : 0; }

// A client whose lane holds an invalid batch is told at once: under order `none` its session may have to wait for
// readers before it ends.
uint32_t endReasonToTell(const Session& session) {
  const bool ended = session.endedGeneration == session.generation;
  const bool corrupt = session.order == orderNone && session.endReason == endCorrupt;
  return ended || corrupt ? session.endReason : uint32_t{endNone};
}

}  // namespace

// Processes observe the mark without the seal: a process that sees that a place is free also sees that it was emptied. Of
// the other fields the seal tells which belong together.
void publishRetention(SequencerState& order, uint32_t t) {
  using Retention = TopicLine::Retention;
  Topic& topic = order.topics[t];
  topic.publishedGating = topic.gating;
  topic.publishedUnreplicated = topic.unreplicated;
  Retention local{};
  local.trim = topic.trim;
  local.trimMessages = topic.trimMessages;
  local.gatingReader = topic.gating;
  local.firstEntry = topic.firstEntry;
  local.freedMark = topic.mark;
  local.firmTrim = topic.firmTrim;
  local.unreplicated = topic.unreplicated ? 1 : 0;
  TopicLine& line = order.region.topicLine(order.epoch, t);
  const Sealed<Retention> sealed(local);
  publishSpare(order.publication, order.role, line.retentionSpare, sealed);
  order.publication.on(order.role, line.retention)
      .set<&Retention::trim>(local.trim)
      .set<&Retention::trimMessages>(local.trimMessages)
      .set<&Retention::gatingReader>(local.gatingReader)
      .set<&Retention::firstEntry>(local.firstEntry)
      .set<&Retention::firmTrim>(local.firmTrim)
      .set<&Retention::unreplicated>(local.unreplicated)
      .publish<&Retention::freedMark>(local.freedMark)
      .publish<&Retention::seal>(sealed.fields().seal);
}

// SYNC: pairs with the readSealed in IndexReader::lookAtCommitted.
void publishCommitted(const SequencerState& order, uint32_t t) {
  const Topic& topic = order.topics[t];
  TopicLine::Committed local{};
  local.entries = topic.committed;
  local.messages = topic.messages;
  local.bytes = topic.bytes;
  local.orderedNanos = topic.orderedNanos;
  TopicLine& line = order.region.topicLine(order.epoch, t);
  publishTwice(order.publication, order.role, line.committed, line.committedSpare, Sealed(local));
}

void publishTopicAdoption(const SequencerState& order, uint32_t t) {
  const Topic& topic = order.topics[t];
  TopicLine::Adoption local{};
  local.generation = topic.generation;
  local.slotSeal = topic.seal;
  local.order = topic.order;
  local.named = topic.named ? 1 : 0;
  local.ack = topic.ack;
  publishSealed(order.publication, order.role, order.region.topicLine(order.epoch, t).adoption, Sealed(local));
}

// SYNC: publishes what is released, with the seal; pairs with the readSealed in LaneWriter::lookAtReleased.
void publishLane(SequencerState& order, uint32_t at) {
  const Publication p = order.publication;
  Lane& lane = order.lanes[at];
  lane.dirty = false;
  LaneLine& line = order.region.laneLine(order.epoch, at);
  p.on(order.role, line.counts)
      .all({lane.held, lane.ordered, lane.orderedMessages, lane.delivered, lane.deliveredMessages, lane.duplicates,
            lane.purged, lane.firstIndex});
  const bool empty = lane.released == lane.scanned;
  LaneLine::Frontiers local{};
  local.generation = lane.generation;
  local.scanned = lane.scanned;
  local.released = lane.released;
  local.payloadEnd = lane.payloadEnd;
  local.payloadReleased = empty ? lane.payloadEnd : lane.start[lane.released & (order.geometry.laneSlots - 1)];
  local.trim = lane.trim;
  local.firstIndex = lane.firstIndex;
  publishTwice(p, order.role, line.frontiers, line.frontiersSpare, Sealed(local));
}

void publishSession(SequencerState& order, uint32_t client) {
  Session& session = order.sessions[client];
  session.dirty = false;
  SessionLine::Pressure pressure{};
  pressure.held = session.held;
  pressure.heldTotal = session.heldTotal;
  pressure.duplicates = session.duplicates;
  pressure.purged = session.purged;
  pressure.gapSinceNanos = session.gapSinceNanos;
  order.publication.on(order.role, order.region.sessionLine(order.epoch, client).pressure).all(pressure);
  publishAcknowledged(order, client);
}

// Two words are observed without the seal. A process that sees the ended generation may take the slot and its lanes; a
// broker that sees the generation grants the lanes. Both see what was published before.
// SYNC: publishes the acknowledged prefix after the committed count, with the seal; pairs with the readSealed in
// LaneWriter::lookAtCommitted.
void publishAcknowledged(const SequencerState& order, uint32_t client) {
  using Acknowledged = SessionLine::Acknowledged;
  const Session& session = order.sessions[client];
  Acknowledged local{};
  local.generation = session.generation;
  local.batches = session.expected;
  local.messages = session.expectedMessages;
  local.endedGeneration = session.endedGeneration;
  local.endReason = endReasonToTell(session);
  local.unordered = unorderedTopic(session);
  local.leavingGeneration = session.leaving ? session.generation : 0;
  SessionLine& line = order.region.sessionLine(order.epoch, client);
  const Sealed<Acknowledged> sealed(local);
  publishSpare(order.publication, order.role, line.acknowledgedSpare, sealed);
  order.publication.on(order.role, line.acknowledged)
      .set<&Acknowledged::batches>(local.batches)
      .set<&Acknowledged::messages>(local.messages)
      .set<&Acknowledged::endReason>(local.endReason)
      .set<&Acknowledged::unordered>(local.unordered)
      .set<&Acknowledged::leavingGeneration>(local.leavingGeneration)
      .copy<&Acknowledged::reserved>(local.reserved)
      .publish<&Acknowledged::endedGeneration>(local.endedGeneration)
      .publish<&Acknowledged::generation>(local.generation)
      .publish<&Acknowledged::seal>(sealed.fields().seal);
}

void publishSessionAdoption(const SequencerState& order, uint32_t client) {
  const Session& session = order.sessions[client];
  SessionLine::Adoption local{};
  local.generation = session.generation;
  local.topicGeneration = session.topicGeneration;
  local.processGeneration = session.processGeneration;
  local.process = session.process;
  local.topic = session.topic;
  local.order = static_cast<uint16_t>(session.order);
  local.identity = static_cast<uint16_t>(session.identity);
  local.incarnation = session.incarnation;
  local.identityGeneration = session.identityGeneration;
  local.base = session.base;
  publishSealed(order.publication, order.role, order.region.sessionLine(order.epoch, client).adoption, Sealed(local));
}

// One word, so that no kill leaves half a fact. The line has been written by this sequencer since its epoch began.
void publishFact(const SequencerState& order, uint32_t client, uint64_t sequence, uint32_t messages) {
  const Publication p = order.publication;
  auto& line = order.region.factLine(order.epoch, client, sequence);
  FactLine local = p.own(order.role, line);
  local.facts[sequence % factsOfLine] = factOf(sequence, messages);
  p.on(order.role, line).copy<&FactLine::facts>(local.facts);
}

void clearFacts(const SequencerState& order, uint32_t client) {
  const Publication p = order.publication;
  const FactLine none{};
  for (uint64_t place = 0; place < order.region.layout().windowPlaces(); place += factsOfLine) {
    auto& line = order.region.factLine(order.epoch, client, place);
    const FactLine local = p.copy(line);
    if (std::memcmp(&local, &none, sizeof(none)) != 0) p.on(order.role, line).copy<&FactLine::facts>(none.facts);
  }
}

void publishPulse(SequencerState& order) {
  order.pulse += 1;
  order.publication.on(order.role, order.region.blockHead(order.epoch).service).set<&ServiceLine::pulse>(order.pulse);
}

// SYNC: publishes a refusal before the answer; pairs with the observes in wishForPlace.
void publishAnswers(const SequencerState& order) {
  order.publication.on(order.role, order.region.blockHead(order.epoch).service)
      .publish<&ServiceLine::wishesRefused>(order.places.wishRefused)
      .publish<&ServiceLine::wishesAnswered>(order.places.wishAnswered);
}

// SYNC: ahead of the head that says that the epoch serves; pairs with the observes in copiesOf.
void publishCopies(const SequencerState& order) {
  const uint64_t word = copiesWordOf(order.copies);
  order.publication.on(order.role, order.region.blockHead(order.epoch).service)
      .publish<&ServiceLine::copies>(word)
      .publish<&ServiceLine::copiesAgain>(word);
}

// Repairs damage from outside. While an epoch is open it leaves the lines of sessions alone, because emitted batches
// are acknowledged only once they are committed.
void publishAgain(SequencerState& order) {
  publishAnswers(order);
  publishCopies(order);
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    publishRetention(order, t);
    publishCommitted(order, t);
    publishTopicAdoption(order, t);
  }
  for (uint32_t i = 0; i < order.geometry.clients && order.ready.empty(); i += 1) {
    if (order.sessions[i].generation == 0) continue;
    publishSession(order, i);
    publishSessionAdoption(order, i);
  }
  for (uint32_t i = 0; i < order.identities.size(); i += 1) {
    if (order.identities[i].generation != 0) publishIdentity(order, i);
  }
  for (uint32_t at = 0; at < order.lanes.size(); at += 1) publishLane(order, at);
  order.dirtyLanes.clear();
}

void publishPrefixes(SequencerState& order) {
  for (const uint32_t client : order.active) {
    if (order.sessions[client].dirty) publishSession(order, client);
  }
}

// Not while an epoch is open: emitted batches are acknowledged once they are committed, not before.
void publishSessions(SequencerState& order) {
  if (order.ready.empty()) publishPrefixes(order);
}

void publishTotals(const SequencerState& order) {
  order.publication.on(order.role, order.region.blockHead(order.epoch).service)
      .set<&ServiceLine::passes>(order.totals.passes)
      .set<&ServiceLine::commits>(order.totals.commits);
}

// Sessions before lanes: what is released is explained by the prefix that is acknowledged.
void publishAll(SequencerState& order) {
  publishSessions(order);
  for (const uint32_t at : order.dirtyLanes) {
    if (order.lanes[at].dirty) publishLane(order, at);
  }
  order.dirtyLanes.clear();
  publishTotals(order);
}

}  // namespace ringfence::sequencing
