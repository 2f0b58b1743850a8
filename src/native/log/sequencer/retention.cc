// Keeps committed batches until their room is needed, and then trims the oldest, never past an attached reader.
#include "retention.h"

#include <algorithm>

#include "log/replicas.h"
#include "log/topic_reader.h"
#include "publishing.h"
#include "region/futex.h"
#include "region/planted.h"
#include "unordered.h"

namespace ringfence::sequencing {

namespace {

// The smallest cursor of the attached readers, or the committed count when there is none (`reader` is 0 then).
// SYNC: observes the cursors; pairs with the publish in IndexReader::release, which follows all reads below the cursor.
uint64_t attachedMinimum(const SequencerState& order, uint32_t topic, uint64_t& reader) {
  const Publication p = order.publication;
  uint64_t minimum = order.topics[topic].committed;
  reader = 0;
  for (uint32_t i = 0; i < order.geometry.readers; i += 1) {
    const ReaderSlot& slot = order.region.reader(topic, i);
    const uint64_t generation = p.observe<&ReaderClaim::generation>(slot.claim);
    if (generation == 0) continue;
    const auto [attached, detached, cursor] =
        p.observe<&ReaderLine::attachedGeneration, &ReaderLine::detachedGeneration, &ReaderLine::cursor>(slot.line);
    if (attached != generation || detached == generation || cursor == holdsNothing) continue;
    if (p.own<&ReaderEnd::endedGeneration>(order.role, order.region.readerEnd(order.epoch, topic, i)) == generation) continue;
    if (reader != 0 && cursor >= minimum) continue;
    minimum = cursor < order.topics[topic].committed ? cursor : order.topics[topic].committed;
    reader = i + 1;
  }
  return minimum;
}

// The same behind the fence that follows a new frontier: a reader that is not counted here sees that frontier.
uint64_t attachedMinimum(const SequencerState& order, const Fenced&, uint32_t topic, uint64_t& reader) {
  return attachedMinimum(order, topic, reader);
}

// What lies from `before` to the trim is done with.
void releaseTrimmed(SequencerState& order, const Topic& topic, uint64_t before) {
  const Geometry& g = order.geometry;
  for (uint64_t i = before; i < topic.trim; i += 1) {
    const Kept& kept = topic.kept[i & (g.indexEntries - 1)];
    if (kept.lane == noLane) continue;
    Lane& lane = order.lanes[kept.lane];
    lane.state[kept.laneIndex & (g.laneSlots - 1)] = Slot::done;
    markDirty(order, lane);
    releaseSlots(order, lane);
  }
}

// Notes what replicas have now: it may go, also when they are there no more. A replica of which a process was killed, or
// that was detached, has it still.
void noteSynced(SequencerState& order, uint32_t t) {
  Topic& topic = order.topics[t];
  for (uint32_t i = 0; i < order.geometry.readers; i += 1) {
    Synced synced;
    if (syncedAt(order.region, t, i, synced) != SyncedState::whole) continue;
    topic.synced = std::max(topic.synced, std::min(synced.entries, topic.committed));
  }
}

// Up to which entry a topic is to be trimmed: what lacks room needs the one, and takes up to the other where it may.
struct TrimTarget {
  uint64_t needed;
  uint64_t wanted;
};

// SYNC: publishes the frontier, fences, and reads the cursors again (see IndexReader::publishCursor). Then it publishes that
// the frontier is firm, before any release.
bool trimTo(SequencerState& order, uint32_t t, TrimTarget room) {
  const Geometry& g = order.geometry;
  Topic& topic = order.topics[t];
  uint64_t reader = 0;
  uint64_t minimum = attachedMinimum(order, t, reader);
  if (room.needed > minimum) {
    topic.gating = reader;
    order.roomWanted = true;
  }
  uint64_t target = std::min(room.wanted, minimum);
  if (topic.ack == ackDurable && target > topic.synced && !planted("a trim ahead of the replicas")) {
    target = topic.synced;
    if (room.needed > topic.synced) {
      topic.gating = 0;
      topic.unreplicated = true;
      order.roomWanted = true;
    }
  }
  if (target <= topic.trim) return false;
  const uint64_t before = topic.trim;
  const uint64_t messagesBefore = topic.trimMessages;
  for (uint64_t i = topic.trim; i < target; i += 1) {
    topic.trimMessages += topic.kept[i & (g.indexEntries - 1)].messages;
  }
  topic.trim = target;
  if (planted("a release ahead of its trim")) {
    releaseTrimmed(order, topic, before);
    publishAll(order);
  }
  publishRetention(order, t);
  const Fenced fenced = order.publication.fullFence();
  minimum = attachedMinimum(order, fenced, t, reader);
  if (minimum < target && !planted("a trim ahead of a reader")) {  // one attached meanwhile: keep what it needs
    topic.trim = before;
    topic.trimMessages = messagesBefore;
    publishRetention(order, t);
    topic.gating = reader;
    order.roomWanted = true;
    return false;
  }
  topic.firmTrim = target;
  publishRetention(order, t);
  releaseTrimmed(order, topic, before);
  if (topic.delivered < topic.trim) topic.delivered = topic.trim;
  return true;
}

}  // namespace

bool followReaders(SequencerState& order) {
  bool moved = followLanes(order);
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    Topic& topic = order.topics[t];
    if (topic.ack == ackDurable) noteSynced(order, t);
    if (topic.delivered == topic.committed) continue;
    uint64_t reader = 0;
    const uint64_t minimum = attachedMinimum(order, t, reader);
    if (reader == 0 || minimum <= topic.delivered) continue;
    for (uint64_t i = topic.delivered; i < minimum; i += 1) {
      const Kept& kept = topic.kept[i & (order.geometry.indexEntries - 1)];
      if (kept.lane == noLane) continue;
      Lane& lane = order.lanes[kept.lane];
      if (lane.generation != kept.generation) continue;
      lane.delivered += 1;
      lane.deliveredMessages += kept.messages;
      markDirty(order, lane);
    }
    topic.delivered = minimum;
    publishRetention(order, t);
    moved = true;
  }
  return moved;
}

bool laneShort(const SequencerState& order, uint32_t at, uint64_t first, uint32_t spare) {
  const Geometry& g = order.geometry;
  const Lane& lane = order.lanes[at];
  if (lane.scanned == first) return false;
  const uint64_t spareSlots = g.laneSlots / 4 + spare * g.laneSlots / spareParts;
  const uint64_t leastBytes = g.lanePayloadBytes / 4 > 4 * g.batchBytes ? g.lanePayloadBytes / 4 : 4 * g.batchBytes;
  const uint64_t spareBytes = leastBytes + spare * g.lanePayloadBytes / spareParts;
  const uint64_t usedBytes = lane.payloadEnd - lane.start[first & (g.laneSlots - 1)];
  if (lane.scanned - first > g.laneSlots - spareSlots) return true;
  return usedBytes > g.lanePayloadBytes - spareBytes;
}

namespace {

// Of a lane that is short, and whose first batch is committed: a trim costs as much for one batch as for many, so it makes
// a stride more room than is needed. What is not committed, or belongs to another topic, ends the look.
TrimTarget targetOf(const SequencerState& order, uint32_t at) {
  const Lane& lane = order.lanes[at];
  const uint64_t mask = order.geometry.laneSlots - 1;
  const uint32_t topic = lane.topic[lane.released & mask];
  TrimTarget target{0, 0};
  for (uint64_t i = lane.released; laneShort(order, at, i, spareStride); i += 1) {
    const uint64_t slot = i & mask;
    if (lane.state[slot] == Slot::done) continue;
    if (lane.state[slot] != Slot::ordered || lane.topic[slot] != topic) break;
    target.wanted = std::max(target.wanted, lane.entry[slot] + 1);
    if (laneShort(order, at, i, spareNothing)) target.needed = target.wanted;
  }
  return target;
}

bool makeRoomIn(SequencerState& order, uint32_t at) {
  Lane& lane = order.lanes[at];
  bool moved = false;
  while (laneShort(order, at, lane.released, spareNothing)) {
    const uint64_t slot = lane.released & (order.geometry.laneSlots - 1);
    if (lane.state[slot] == Slot::unordered) {
      if (!releaseTaken(order, at)) break;
      moved = true;
      continue;
    }
    if (lane.state[slot] != Slot::ordered) {  // held: only the missing batch helps
      order.roomWanted = true;
      break;
    }
    if (!trimTo(order, lane.topic[slot], targetOf(order, at))) break;
    moved = true;
  }
  return moved;
}

// Goes through the lanes that may lack room, in the order of the table. A lane leaves them once it has room, and comes back
// with its next change. A trim for one lane changes others, but takes no room from them.
bool makeRoomInLanes(SequencerState& order) {
  std::vector<uint32_t>& lanes = order.watchedLanes;
  if (!std::is_sorted(lanes.begin(), lanes.end())) std::sort(lanes.begin(), lanes.end());
  const size_t known = lanes.size();
  bool moved = false;
  for (size_t i = 0; i < known; i += 1) moved |= makeRoomIn(order, lanes[i]);
  std::erase_if(lanes, [&order](uint32_t at) {
    Lane& lane = order.lanes[at];
    lane.watched = laneShort(order, at, lane.released, spareNothing);
    return !lane.watched;
  });
  return moved;
}

}  // namespace

// Trims for lanes and indexes that run short.
bool makeRoom(SequencerState& order) {
  const Geometry& g = order.geometry;
  bool moved = false;
  order.roomWanted = false;
  for (Topic& topic : order.topics) {
    topic.gating = 0;
    topic.unreplicated = false;
  }
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    const uint64_t spare = g.indexEntries - g.indexEntries / 4;
    const Topic& topic = order.topics[t];
    const uint64_t target = topic.committed - spare;
    if (topic.committed - topic.trim > spare) moved |= trimTo(order, t, {target, target});
  }
  moved |= makeRoomInLanes(order);
  noteUntaken(order);
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    Topic& topic = order.topics[t];
    if (topic.gating == 0) {
      topic.gatingSinceNanos = 0;
    } else if (topic.gatingSinceNanos == 0) {
      topic.gatingSinceNanos = monotonicNanos();
    }
    if (topic.publishedGating != topic.gating || topic.publishedUnreplicated != topic.unreplicated) publishRetention(order, t);
  }
  return moved;
}

void releaseSlots(SequencerState& order, Lane& lane) {
  const Geometry& g = order.geometry;
  while (lane.released < lane.scanned && lane.state[lane.released & (g.laneSlots - 1)] == Slot::done) {
    lane.state[lane.released & (g.laneSlots - 1)] = Slot::none;
    lane.released += 1;
  }
}

}  // namespace ringfence::sequencing
