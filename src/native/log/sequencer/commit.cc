// Commits an epoch: gives each emitted batch its place in the index of its topic.
#include "region/futex.h"
#include "region/token.h"
#include "sequencer.h"

namespace ringfence {

// An epoch is committed at once while nothing is held; with held batches it waits for those that complete them. Not for
// a gap that is older than an epoch: nothing tells when that one ends, and other sessions do not wait for it.
bool Sequencer::epochDue() const {
  if (ready_.size() >= readyLimit || options_.manual) return true;
  const uint64_t now = monotonicNanos();
  const uint64_t epochNanos = options_.epochMicros * 1000;
  if (now - readySinceNanos_ >= epochNanos) return true;
  for (const Session& session : sessions_) {
    if (session.active && session.held != 0 && now - session.gapSinceNanos < epochNanos) return false;
  }
  return true;
}

// Three fences an epoch, for any number of batches: entries, then counts, then acknowledgements (publishAll).
bool Sequencer::commit() {
  const uint64_t now = wallNanos();
  for (const Ready& ready : ready_) {
    const Session& session = sessions_[ready.client];
    const Pending& batch = ready.batch;
    Topic& topic = topics_[session.topic];
    Lane& lane = lanes_[batch.lane];
    const uint64_t index = topic.committed;
    IndexEntry entry{};
    entry.order.sessionKey = session.id << 16;
    entry.order.batchSequence = batch.tag - 1;
    entry.order.firstPosition = topic.messages;
    entry.order.firstMessage = batch.firstMessage;
    entry.order.messageCount = batch.messages;
    entry.order.payloadBytes = batch.payloadBytes;
    entry.order.lane = batch.lane;
    entry.order.uniformBytes = batch.uniformBytes;
    entry.order.laneIndex = batch.laneIndex;
    entry.place.payloadPosition = batch.payloadPosition;
    entry.place.publishedNanos = batch.publishedNanos;
    entry.place.orderedNanos = now;
    sealEntry(entry, readyToken(index, epoch_));
    p_.copyIn(region_->entry(epoch_, session.topic, index), entry);

    topic.kept[index & (g_.indexEntries - 1)] = {batch.lane, batch.messages, batch.laneIndex, lane.generation};
    topic.committed += 1;
    topic.pending -= 1;
    topic.messages += batch.messages;
    topic.bytes += batch.payloadBytes;
    topic.dirty = true;
    const uint64_t slot = batch.laneIndex & (g_.laneSlots - 1);
    lane.state[slot] = Slot::ordered;
    lane.entry[slot] = index;
    lane.ordered += 1;
    lane.orderedMessages += batch.messages;
    lane.dirty = true;
    batches_ += 1;
    messages_ += batch.messages;
  }
  ready_.clear();
  commits_ += 1;
  p_.storeFence();
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    if (!topics_[t].dirty) continue;
    topics_[t].dirty = false;
    publishCommitted(t);
  }
  p_.storeFence();
  return true;
}

}  // namespace ringfence
