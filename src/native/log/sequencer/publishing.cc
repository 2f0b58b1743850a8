// Publishes the sequencer's state in the block of its epoch: the lines of topics, lanes and sessions.
#include "publishing.h"

#include "region/sealed_line.h"

namespace ringfence::sequencing {

void publishRetention(const SequencerState& order, uint32_t t) {
  const Publication& p = order.publication;
  const Topic& topic = order.topics[t];
  TopicLine::Retention& line = order.region.topicLine(order.epoch, t).retention;
  TopicLine::Retention local{};
  local.trim = topic.trim;
  local.delivered = topic.delivered;
  local.trimMessages = topic.trimMessages;
  local.gatingReader = topic.gating;
  local.firstEntry = topic.firstEntry;
  local.freedMark = topic.mark;
  p.write(line.delivered, local.delivered);
  p.write(line.trimMessages, local.trimMessages);
  p.write(line.gatingReader, local.gatingReader);
  p.write(line.firstEntry, local.firstEntry);
  p.publish(line.freedMark, local.freedMark);
  p.publish(line.trim, local.trim);
  publishSeal(p, line, local);
}

// SYNC: pairs with the readSealed in IndexReader::lookAtCommitted.
void publishCommitted(const SequencerState& order, uint32_t t) {
  const Publication& p = order.publication;
  const Topic& topic = order.topics[t];
  TopicLine::Committed& line = order.region.topicLine(order.epoch, t).committed;
  TopicLine::Committed local{};
  local.entries = topic.committed;
  local.messages = topic.messages;
  local.bytes = topic.bytes;
  p.write(line.messages, local.messages);
  p.write(line.bytes, local.bytes);
  p.publish(line.entries, local.entries);
  publishSeal(p, line, local);
}

// SYNC: publishes `released`; pairs with the observe in LaneWriter::lookAtReleased.
void publishLane(SequencerState& order, uint32_t at) {
  const Publication& p = order.publication;
  Lane& lane = order.lanes[at];
  lane.dirty = false;
  LaneLine& line = order.region.laneLine(order.epoch, at);
  p.write(line.counts.held, lane.held);
  p.write(line.counts.ordered, lane.ordered);
  p.write(line.counts.orderedMessages, lane.orderedMessages);
  p.write(line.counts.delivered, lane.delivered);
  p.write(line.counts.deliveredMessages, lane.deliveredMessages);
  p.write(line.counts.duplicates, lane.duplicates);
  p.write(line.counts.purged, lane.purged);
  p.write(line.counts.firstIndex, lane.firstIndex);
  const bool empty = lane.released == lane.scanned;
  LaneLine::Frontiers local{};
  local.generation = lane.generation;
  local.scanned = lane.scanned;
  local.released = lane.released;
  local.payloadEnd = lane.payloadEnd;
  local.payloadReleased = empty ? lane.payloadEnd : lane.start[lane.released & (order.geometry.laneSlots - 1)];
  p.write(line.frontiers.generation, local.generation);
  p.write(line.frontiers.payloadEnd, local.payloadEnd);
  p.write(line.frontiers.scanned, local.scanned);
  p.write(line.frontiers.payloadReleased, local.payloadReleased);
  p.wrote(&line, sizeof(line));
  p.publish(line.frontiers.released, local.released);
  publishSeal(p, line.frontiers, local);
}

// SYNC: publishes `batches` after the committed count; pairs with the observe in LaneWriter::lookAtCommitted.
void publishSession(SequencerState& order, uint32_t client) {
  const Publication& p = order.publication;
  Session& session = order.sessions[client];
  session.dirty = false;
  SessionLine& line = order.region.sessionLine(order.epoch, client);
  p.write(line.pressure.held, session.held);
  p.write(line.pressure.heldTotal, session.heldTotal);
  p.write(line.pressure.duplicates, session.duplicates);
  p.write(line.pressure.purged, session.purged);
  p.write(line.pressure.gapSinceNanos, session.gapSinceNanos);
  p.publish(line.acknowledged.messages, session.expectedMessages);
  p.publish(line.acknowledged.batches, session.expected);
  sealSession(order, client);
}

void sealSession(const SequencerState& order, uint32_t client) {
  const Session& session = order.sessions[client];
  SessionLine::Acknowledged local{};
  local.generation = session.generation;
  local.batches = session.expected;
  local.messages = session.expectedMessages;
  local.endedGeneration = session.endedGeneration;
  local.endReason = session.endedGeneration == session.generation ? session.endReason : uint32_t{endNone};
  publishSeal(order.publication, order.region.sessionLine(order.epoch, client).acknowledged, local);
}

void publishAnswers(const SequencerState& order) {
  const Publication& p = order.publication;
  BlockHeader& block = order.region.blockHeader(order.epoch);
  p.publish(block.wishesRefused, order.places.wishRefused);
  p.publish(block.wishesAnswered, order.places.wishAnswered);
}

// Repairs damage from outside. While an epoch is open it leaves the lines of sessions alone, because emitted batches
// are acknowledged only once they are committed.
void publishAgain(SequencerState& order) {
  const Publication& p = order.publication;
  publishAnswers(order);
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    publishRetention(order, t);
    publishCommitted(order, t);
  }
  for (uint32_t at = 0; at < order.lanes.size(); at += 1) publishLane(order, at);
  for (uint32_t i = 0; i < order.geometry.clients && order.ready.empty(); i += 1) {
    Session& session = order.sessions[i];
    if (session.generation == 0) continue;
    SessionLine::Acknowledged& line = order.region.sessionLine(order.epoch, i).acknowledged;
    p.publish(line.endReason, session.endedGeneration == session.generation ? session.endReason : uint32_t{endNone});
    p.publish(line.endedGeneration, session.endedGeneration);
    p.publish(line.generation, session.generation);
    publishSession(order, i);
  }
}

void publishAll(SequencerState& order) {
  const Publication& p = order.publication;
  for (uint32_t at = 0; at < order.lanes.size(); at += 1) {
    if (order.lanes[at].dirty) publishLane(order, at);
  }
  // Not while an epoch is open: emitted batches are acknowledged once they are committed, not before.
  if (order.ready.empty()) {
    for (uint32_t i = 0; i < order.geometry.clients; i += 1) {
      if (order.sessions[i].active && order.sessions[i].dirty) publishSession(order, i);
    }
  }
  BlockHeader& block = order.region.blockHeader(order.epoch);
  p.write(block.passes, order.totals.passes);
  p.write(block.commits, order.totals.commits);
  p.storeFence();
}

}  // namespace ringfence::sequencing
