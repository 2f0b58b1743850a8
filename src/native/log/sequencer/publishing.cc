// Publishes the sequencer's state in the block of its epoch: the lines of topics, lanes and sessions.
#include "publishing.h"

#include "region/sealed_line.h"

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
  Retention local{};
  local.trim = topic.trim;
  local.trimMessages = topic.trimMessages;
  local.gatingReader = topic.gating;
  local.firstEntry = topic.firstEntry;
  local.freedMark = topic.mark;
  order.publication.on(order.role, order.region.topicLine(order.epoch, t).retention)
      .set<&Retention::trim>(local.trim)
      .set<&Retention::trimMessages>(local.trimMessages)
      .set<&Retention::gatingReader>(local.gatingReader)
      .set<&Retention::firstEntry>(local.firstEntry)
      .copy<&Retention::reserved>(local.reserved)
      .publish<&Retention::freedMark>(local.freedMark)
      .publish<&Retention::seal>(sealOf(local));
}

// SYNC: pairs with the readSealed in IndexReader::lookAtCommitted.
void publishCommitted(const SequencerState& order, uint32_t t) {
  const Topic& topic = order.topics[t];
  TopicLine::Committed local{};
  local.entries = topic.committed;
  local.messages = topic.messages;
  local.bytes = topic.bytes;
  publishSealed(order.publication, order.role, order.region.topicLine(order.epoch, t).committed, local);
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
  publishSealed(p, order.role, line.frontiers, local);
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
  order.publication.on(order.role, order.region.sessionLine(order.epoch, client).acknowledged)
      .set<&Acknowledged::batches>(local.batches)
      .set<&Acknowledged::messages>(local.messages)
      .set<&Acknowledged::endReason>(local.endReason)
      .set<&Acknowledged::unordered>(local.unordered)
      .set<&Acknowledged::leavingGeneration>(local.leavingGeneration)
      .copy<&Acknowledged::reserved>(local.reserved)
      .publish<&Acknowledged::endedGeneration>(local.endedGeneration)
      .publish<&Acknowledged::generation>(local.generation)
      .publish<&Acknowledged::seal>(sealOf(local));
}

// SYNC: publishes a refusal before the answer; pairs with the observes in wishForPlace.
void publishAnswers(const SequencerState& order) {
  order.publication.on(order.role, order.region.blockHeader(order.epoch))
      .publish<&BlockHeader::wishesRefused>(order.places.wishRefused)
      .publish<&BlockHeader::wishesAnswered>(order.places.wishAnswered);
}

// Repairs damage from outside. While an epoch is open it leaves the lines of sessions alone, because emitted batches
// are acknowledged only once they are committed.
void publishAgain(SequencerState& order) {
  publishAnswers(order);
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    publishRetention(order, t);
    publishCommitted(order, t);
  }
  for (uint32_t at = 0; at < order.lanes.size(); at += 1) publishLane(order, at);
  for (uint32_t i = 0; i < order.geometry.clients && order.ready.empty(); i += 1) {
    if (order.sessions[i].generation != 0) publishSession(order, i);
  }
}

void publishAll(SequencerState& order) {
  const Publication p = order.publication;
  for (uint32_t at = 0; at < order.lanes.size(); at += 1) {
    if (order.lanes[at].dirty) publishLane(order, at);
  }
  // Not while an epoch is open: emitted batches are acknowledged once they are committed, not before.
  if (order.ready.empty()) {
    for (uint32_t i = 0; i < order.geometry.clients; i += 1) {
      if (order.sessions[i].active && order.sessions[i].dirty) publishSession(order, i);
    }
  }
  p.on(order.role, order.region.blockHeader(order.epoch))
      .set<&BlockHeader::passes>(order.totals.passes)
      .set<&BlockHeader::commits>(order.totals.commits);
}

}  // namespace ringfence::sequencing
