// Publishes what the sequencer decided in the block of its epoch: the lines of topics, lanes and sessions.
#include "region/sealed_line.h"
#include "sequencer.h"

namespace ringfence {

void Sequencer::publishRetention(uint32_t t) {
  const Topic& topic = topics_[t];
  TopicLine::Retention& line = region_->topicLine(epoch_, t).retention;
  TopicLine::Retention local{};
  local.trim = topic.trim;
  local.delivered = topic.delivered;
  local.trimMessages = topic.trimMessages;
  local.gatingReader = topic.gating;
  local.firstEntry = topic.firstEntry;
  local.freedMark = topic.mark;
  p_.write(line.delivered, local.delivered);
  p_.write(line.trimMessages, local.trimMessages);
  p_.write(line.gatingReader, local.gatingReader);
  p_.write(line.firstEntry, local.firstEntry);
  p_.publish(line.freedMark, local.freedMark);
  p_.publish(line.trim, local.trim);
  publishSeal(p_, line, local);
}

// SYNC: pairs with the readSealed in IndexReader::lookAtCommitted.
void Sequencer::publishCommitted(uint32_t t) {
  const Topic& topic = topics_[t];
  TopicLine::Committed& line = region_->topicLine(epoch_, t).committed;
  TopicLine::Committed local{};
  local.entries = topic.committed;
  local.messages = topic.messages;
  local.bytes = topic.bytes;
  p_.write(line.messages, local.messages);
  p_.write(line.bytes, local.bytes);
  p_.publish(line.entries, local.entries);
  publishSeal(p_, line, local);
}

// SYNC: `released` pairs with the observe in LaneWriter::lookAtReleased.
void Sequencer::publishLane(uint32_t at) {
  Lane& lane = lanes_[at];
  lane.dirty = false;
  LaneLine& line = region_->laneLine(epoch_, at);
  p_.write(line.counts.held, lane.held);
  p_.write(line.counts.ordered, lane.ordered);
  p_.write(line.counts.orderedMessages, lane.orderedMessages);
  p_.write(line.counts.delivered, lane.delivered);
  p_.write(line.counts.deliveredMessages, lane.deliveredMessages);
  p_.write(line.counts.duplicates, lane.duplicates);
  p_.write(line.counts.purged, lane.purged);
  p_.write(line.counts.firstIndex, lane.firstIndex);
  const bool empty = lane.released == lane.scanned;
  LaneLine::Frontiers local{};
  local.generation = lane.generation;
  local.scanned = lane.scanned;
  local.released = lane.released;
  local.payloadEnd = lane.payloadEnd;
  local.payloadReleased = empty ? lane.payloadEnd : lane.start[lane.released & (g_.laneSlots - 1)];
  p_.write(line.frontiers.generation, local.generation);
  p_.write(line.frontiers.payloadEnd, local.payloadEnd);
  p_.write(line.frontiers.scanned, local.scanned);
  p_.write(line.frontiers.payloadReleased, local.payloadReleased);
  p_.wrote(&line, sizeof(line));
  p_.publish(line.frontiers.released, local.released);
  publishSeal(p_, line.frontiers, local);
}

// SYNC: `batches` pairs with the observe in LaneWriter::lookAtCommitted; it is published after the committed count.
void Sequencer::publishSession(uint32_t client) {
  Session& session = sessions_[client];
  session.dirty = false;
  SessionLine& line = region_->sessionLine(epoch_, client);
  p_.write(line.pressure.held, session.held);
  p_.write(line.pressure.heldTotal, session.heldTotal);
  p_.write(line.pressure.duplicates, session.duplicates);
  p_.write(line.pressure.purged, session.purged);
  p_.write(line.pressure.gapSinceNanos, session.gapSinceNanos);
  p_.publish(line.acknowledged.messages, session.expectedMessages);
  p_.publish(line.acknowledged.batches, session.expected);
  sealSession(client);
}

void Sequencer::sealSession(uint32_t client) {
  const Session& session = sessions_[client];
  SessionLine::Acknowledged local{};
  local.generation = session.generation;
  local.batches = session.expected;
  local.messages = session.expectedMessages;
  local.endedGeneration = session.endedGeneration;
  local.endReason = session.endedGeneration == session.generation ? session.endReason : uint32_t{endNone};
  publishSeal(p_, region_->sessionLine(epoch_, client).acknowledged, local);
}

// All that others decide by, once more: what was changed from outside becomes right again. What is emitted and not
// committed yet is acknowledged with its epoch, and the lines of sessions are left alone until then.
void Sequencer::publishAgain() {
  publishAnswers();
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    publishRetention(t);
    publishCommitted(t);
  }
  for (uint32_t at = 0; at < lanes_.size(); at += 1) publishLane(at);
  for (uint32_t i = 0; i < g_.clients && ready_.empty(); i += 1) {
    Session& session = sessions_[i];
    if (session.generation == 0) continue;
    SessionLine::Acknowledged& line = region_->sessionLine(epoch_, i).acknowledged;
    p_.publish(line.endReason, session.endedGeneration == session.generation ? session.endReason : uint32_t{endNone});
    p_.publish(line.endedGeneration, session.endedGeneration);
    p_.publish(line.generation, session.generation);
    publishSession(i);
  }
}

void Sequencer::publishAll() {
  for (uint32_t at = 0; at < lanes_.size(); at += 1) {
    if (lanes_[at].dirty) publishLane(at);
  }
  // What is emitted but not committed yet is acknowledged with its epoch, not before.
  if (ready_.empty()) {
    for (uint32_t i = 0; i < g_.clients; i += 1) {
      if (sessions_[i].active && sessions_[i].dirty) publishSession(i);
    }
  }
  BlockHeader& block = region_->blockHeader(epoch_);
  p_.write(block.passes, passes_);
  p_.write(block.commits, commits_);
  p_.storeFence();
}

}  // namespace ringfence
