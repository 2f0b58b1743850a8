// Retains committed batches until their room is needed, and then trims the oldest, never past an attached reader.
#include "region/futex.h"
#include "sequencer.h"

namespace ringfence {

// The smallest cursor of the attached readers, or the committed count when there is none (`reader` is 0 then).
// SYNC: the cursor pairs with the publish in IndexReader::release: all reads of what lies below it are done.
uint64_t Sequencer::attachedMinimum(uint32_t topic, uint64_t& reader) const {
  uint64_t minimum = topics_[topic].committed;
  reader = 0;
  for (uint32_t i = 0; i < g_.readers; i += 1) {
    const ReaderSlot& slot = region_->reader(topic, i);
    const uint64_t generation = p_.observe(slot.claim.generation);
    if (generation == 0 || p_.observe(slot.line.attachedGeneration) != generation) continue;
    if (p_.observe(slot.line.detachedGeneration) == generation) continue;
    if (p_.read(region_->readerEnd(epoch_, topic, i).endedGeneration) == generation) continue;
    const uint64_t cursor = p_.observe(slot.line.cursor);
    if (reader != 0 && cursor >= minimum) continue;
    minimum = cursor < topics_[topic].committed ? cursor : topics_[topic].committed;
    reader = i + 1;
  }
  return minimum;
}

bool Sequencer::followReaders() {
  bool moved = false;
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    Topic& topic = topics_[t];
    if (topic.delivered == topic.committed) continue;
    uint64_t reader = 0;
    const uint64_t minimum = attachedMinimum(t, reader);
    if (reader == 0 || minimum <= topic.delivered) continue;
    for (uint64_t i = topic.delivered; i < minimum; i += 1) {
      const Kept& kept = topic.kept[i & (g_.indexEntries - 1)];
      Lane& lane = lanes_[kept.lane];
      if (lane.generation != kept.generation) continue;
      lane.delivered += 1;
      lane.deliveredMessages += kept.messages;
      lane.dirty = true;
    }
    topic.delivered = minimum;
    publishRetention(t);
    moved = true;
  }
  return moved;
}

bool Sequencer::laneShort(uint32_t at) const {
  const Lane& lane = lanes_[at];
  if (lane.scanned == lane.released) return false;
  const uint64_t spareSlots = g_.laneSlots / 4;
  const uint64_t spareBytes = g_.lanePayloadBytes / 4 > 4 * g_.batchBytes ? g_.lanePayloadBytes / 4 : 4 * g_.batchBytes;
  const uint64_t usedBytes = lane.payloadEnd - lane.start[lane.released & (g_.laneSlots - 1)];
  if (lane.scanned - lane.released > g_.laneSlots - spareSlots) return true;
  return usedBytes > g_.lanePayloadBytes - spareBytes;
}

// What is kept is kept until its room is needed: then the oldest goes, never past an attached reader.
bool Sequencer::makeRoom() {
  bool moved = false;
  roomWanted_ = false;
  for (Topic& topic : topics_) topic.gating = 0;
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    const uint64_t spare = g_.indexEntries - g_.indexEntries / 4;
    const Topic& topic = topics_[t];
    if (topic.committed - topic.trim > spare) moved |= trimTo(t, topic.committed - spare);
  }
  for (uint32_t at = 0; at < lanes_.size(); at += 1) {
    Lane& lane = lanes_[at];
    while (laneShort(at)) {
      const uint64_t slot = lane.released & (g_.laneSlots - 1);
      if (lane.state[slot] != Slot::ordered) {  // held: only the missing batch helps
        roomWanted_ = true;
        break;
      }
      if (!trimTo(lane.topic[slot], lane.entry[slot] + 1)) break;
      moved = true;
    }
  }
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    Topic& topic = topics_[t];
    if (topic.gating == 0) {
      topic.gatingSinceNanos = 0;
    } else if (topic.gatingSinceNanos == 0) {
      topic.gatingSinceNanos = monotonicNanos();
    }
    if (p_.read(region_->topicLine(epoch_, t).retention.gatingReader) != topic.gating) publishRetention(t);
  }
  return moved;
}

// SYNC: the frontier is published, a full fence follows, then the cursors are read again (see IndexReader::attach).
bool Sequencer::trimTo(uint32_t t, uint64_t target) {
  Topic& topic = topics_[t];
  uint64_t reader = 0;
  uint64_t minimum = attachedMinimum(t, reader);
  if (target > minimum) {
    target = minimum;
    topic.gating = reader;
    roomWanted_ = true;
  }
  if (target <= topic.trim) return false;
  const uint64_t before = topic.trim;
  const uint64_t messagesBefore = topic.trimMessages;
  for (uint64_t i = topic.trim; i < target; i += 1) {
    topic.trimMessages += topic.kept[i & (g_.indexEntries - 1)].messages;
  }
  topic.trim = target;
  publishRetention(t);
  p_.fullFence();
  minimum = attachedMinimum(t, reader);
  if (minimum < target) {  // a reader attached meanwhile: what it asked for is kept
    topic.trim = before;
    topic.trimMessages = messagesBefore;
    publishRetention(t);
    topic.gating = reader;
    roomWanted_ = true;
    return false;
  }
  for (uint64_t i = before; i < target; i += 1) {
    const Kept& kept = topic.kept[i & (g_.indexEntries - 1)];
    Lane& lane = lanes_[kept.lane];
    lane.state[kept.laneIndex & (g_.laneSlots - 1)] = Slot::done;
    lane.dirty = true;
    releaseSlots(lane);
  }
  if (topic.delivered < topic.trim) topic.delivered = topic.trim;
  return true;
}

void Sequencer::releaseSlots(Lane& lane) {
  while (lane.released < lane.scanned && lane.state[lane.released & (g_.laneSlots - 1)] == Slot::done) {
    lane.state[lane.released & (g_.laneSlots - 1)] = Slot::none;
    lane.released += 1;
  }
}

}  // namespace ringfence
