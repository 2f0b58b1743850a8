#include "unordered.h"

#include <algorithm>

#include "log/descriptor_check.h"
#include "publishing.h"
#include "region/planted.h"
#include "region/sealed_line.h"
#include "retention.h"

namespace ringfence::sequencing {

namespace {

struct Taken {
  uint64_t cursor;
  uint64_t reader;  // slot + 1 of the reader that has taken least (the first, of several); 0 when none is attached
};

// The generation of the reader that is attached in that slot of the topic; 0 none.
// SYNC: pairs with the publishes in LaneReader::attach and LaneReader::detach.
uint64_t attachedIn(const SequencerState& order, uint32_t topic, uint32_t i) {
  const Publication p = order.publication;
  const ReaderSlot& slot = order.region.reader(topic, i);
  const uint64_t generation = p.observe<&ReaderClaim::generation>(slot.claim);
  if (generation == 0) return 0;
  const auto [attached, detached] = p.observe<&ReaderLine::attachedGeneration, &ReaderLine::detachedGeneration>(slot.line);
  if (attached != generation || detached == generation) return 0;
  const auto& end = order.region.readerEnd(order.epoch, topic, i);
  return p.own<&ReaderEnd::endedGeneration>(order.role, end) == generation ? 0 : generation;
}

// The reader's cursor in the lane of the present session, if it has one.
// SYNC: observes the cursor; pairs with the seal that LaneReader::publishCursor publishes, which follows all loads of the
// released payload.
std::optional<LaneCursor> cursorOf(const SequencerState& order, uint32_t topic, uint32_t at, uint32_t reader, uint64_t generation) {
  LaneCursor cursor;
  if (!readSealed(order.publication, order.region.laneCursor(topic, reader, at), cursor)) return std::nullopt;
  const bool present = cursor.sessionGeneration == order.lanes[at].generation && cursor.readerGeneration == generation;
  return present ? std::optional(cursor) : std::nullopt;
}

// The descriptors of the lane that the reader has released. A reader without a cursor in this session's lane holds all
// of it: it has not looked at the session yet.
uint64_t takenBy(const SequencerState& order, uint32_t topic, uint32_t at, uint32_t reader, uint64_t generation) {
  const Lane& lane = order.lanes[at];
  const uint64_t first = std::max(lane.firstIndex, lane.released);
  const auto cursor = cursorOf(order, topic, at, reader, generation);
  if (!cursor) return first;
  const bool left = cursor->leftGeneration == lane.generation;
  const uint64_t taken = cursor->taken[order.region.layout().cursorAt(at)];
  return left ? std::max(first, lane.scanned) : std::clamp(taken, first, std::max(first, lane.scanned));
}

bool hasLeft(const SequencerState& order, uint32_t topic, uint32_t at, uint32_t reader, uint64_t generation) {
  const auto cursor = cursorOf(order, topic, at, reader, generation);
  return cursor && cursor->leftGeneration == order.lanes[at].generation;
}

// What every attached reader has released of the lane, or all that is scanned when there is none.
Taken takenUpTo(const SequencerState& order, uint32_t topic, uint32_t at) {
  Taken least{order.lanes[at].scanned, 0};
  for (uint32_t i = 0; i < order.geometry.readers; i += 1) {
    const uint64_t generation = attachedIn(order, topic, i);
    if (generation == 0) continue;
    const uint64_t taken = takenBy(order, topic, at, i, generation);
    if (least.reader != 0 && taken >= least.cursor) continue;
    least = {taken, i + 1};
  }
  return least;
}

// The same behind the fence that follows a new frontier: a reader that is not counted here sees that frontier.
Taken takenUpTo(const SequencerState& order, const Fenced&, uint32_t topic, uint32_t at) {
  return takenUpTo(order, topic, at);
}

// A reader, slot + 1, that has not left the lane of a damaged session; 0 none.
uint64_t stayingIn(const SequencerState& order, uint32_t topic, uint32_t at) {
  for (uint32_t i = 0; i < order.geometry.readers; i += 1) {
    const uint64_t generation = attachedIn(order, topic, i);
    if (generation != 0 && !hasLeft(order, topic, at, i, generation)) return i + 1;
  }
  return 0;
}

// A reader, slot + 1, for which the session cannot end yet; 0 none. In a damaged session a reader may hold batches
// behind the damage, which were whole when it took them and are never scanned, and the client may still publish: so each
// reader says that it holds nothing of the lane and takes nothing more.
uint64_t holderOf(const SequencerState& order, uint32_t client) {
  const Session& session = order.sessions[client];
  for (uint32_t b = 0; b < order.geometry.brokers; b += 1) {
    const uint32_t at = laneOf(order, b, client);
    const Taken taken = takenUpTo(order, session.topic, at);
    if (taken.cursor != order.lanes[at].scanned) return taken.reader;
    const bool damaged = session.endReason == endCorrupt && !planted("a damaged session ends under its readers");
    const uint64_t staying = damaged ? stayingIn(order, session.topic, at) : 0;
    if (staying != 0) return staying;
  }
  return 0;
}

// The same behind the fence that follows the session's leaving.
uint64_t holderOf(const SequencerState& order, const Fenced&, uint32_t client) { return holderOf(order, client); }

void gate(SequencerState& order, uint32_t topic, uint64_t reader) {
  order.topics[topic].gating = reader;
  order.roomWanted = true;
}

bool deliver(SequencerState& order, uint32_t at, uint64_t upTo) {
  Lane& lane = order.lanes[at];
  const uint64_t from = std::max({lane.deliveredTo, lane.released, lane.firstIndex});
  if (upTo <= from) return false;
  for (uint64_t i = from; i < upTo; i += 1) {
    lane.delivered += 1;
    lane.deliveredMessages += lane.messages[i & (order.geometry.laneSlots - 1)];
  }
  lane.deliveredTo = upTo;
  markDirty(order, lane);
  return true;
}

uint32_t clientOf(const SequencerState& order, uint32_t at) { return at % order.geometry.clients; }

}  // namespace

bool unordered(const SequencerState& order, uint32_t client) {
  return order.sessions[client].active && order.sessions[client].order == orderNone;
}

bool anyUnordered(const SequencerState& order) {
  return std::any_of(order.active.begin(), order.active.end(), [&](uint32_t client) { return unordered(order, client); });
}

void noteUnordered(SequencerState& order, uint32_t client, uint32_t at, const Descriptor& d) {
  Lane& lane = order.lanes[at];
  const uint64_t slot = lane.scanned & (order.geometry.laneSlots - 1);
  lane.start[slot] = d.payloadPosition;
  lane.state[slot] = Slot::unordered;
  lane.messages[slot] = d.messageCount;
  lane.payloadEnd = payloadEndOf(d);
  lane.scanned += 1;
  markDirty(order, lane);
  order.sessions[client].seen += 1;
  order.sessions[client].seenMessages += d.messageCount;
}

bool followLanes(SequencerState& order) {
  bool moved = false;
  for (const uint32_t client : order.active) {
    if (!unordered(order, client)) continue;
    for (uint32_t b = 0; b < order.geometry.brokers; b += 1) {
      const uint32_t at = laneOf(order, b, client);
      if (order.lanes[at].deliveredTo == order.lanes[at].scanned) continue;
      const Taken taken = takenUpTo(order, order.sessions[client].topic, at);
      if (taken.reader != 0) moved |= deliver(order, at, taken.cursor);
    }
  }
  return moved;
}

// SYNC: publishes the frontier, fences, and looks at the readers again; a reader publishes its attachment, fences, and
// reads the frontier (LaneReader::attach).
bool releaseTaken(SequencerState& order, uint32_t at) {
  Lane& lane = order.lanes[at];
  const uint32_t topic = order.sessions[clientOf(order, at)].topic;
  const Taken taken = takenUpTo(order, topic, at);
  uint64_t target = lane.released;
  while (target < taken.cursor && laneShort(order, at, target, spareQuarter)) target += 1;
  if (target == taken.cursor && laneShort(order, at, target, spareNothing)) gate(order, topic, taken.reader);
  if (target == lane.released) return false;
  const uint64_t before = lane.trim;
  lane.trim = target;
  publishLane(order, at);
  const Fenced fenced = order.publication.fullFence();
  const Taken again = takenUpTo(order, fenced, topic, at);
  if (again.cursor < target) {  // a reader attached meanwhile: keep what it needs
    lane.trim = before;
    publishLane(order, at);
    gate(order, topic, again.reader);
    return false;
  }
  if (again.reader != 0) deliver(order, at, target);
  for (uint64_t i = lane.released; i < target; i += 1) lane.state[i & (order.geometry.laneSlots - 1)] = Slot::done;
  releaseSlots(order, lane);
  markDirty(order, lane);
  return true;
}

void noteUntaken(SequencerState& order) {
  for (const uint32_t client : order.active) {
    Session& session = order.sessions[client];
    session.untaken = false;
    if (!unordered(order, client) || !session.ending) continue;
    const uint64_t holder = holderOf(order, client);
    session.untaken = holder != 0;
    const uint64_t gating = order.topics[session.topic].gating;
    if (session.untaken) gate(order, session.topic, gating == 0 ? holder : gating);
  }
}

// SYNC: publishes that the session leaves, fences, and looks at the readers again; a reader publishes its attachment,
// fences, and reads the session's line (LaneReader::attach). So a reader that follows the session's lanes is seen here
// before the lanes go to another session, which overwrites what that reader holds.
bool letGo(SequencerState& order, uint32_t client) {
  if (!unordered(order, client)) return true;
  Session& session = order.sessions[client];
  const auto leave = [&](bool leaving) {
    session.leaving = leaving;
    publishAcknowledged(order, client);
  };
  if (holderOf(order, client) != 0) return false;
  leave(true);
  const Fenced fenced = order.publication.fullFence();
  if (holderOf(order, fenced, client) == 0) return true;
  leave(false);
  return false;
}

void dropTaken(SequencerState& order, uint32_t client) {
  if (!unordered(order, client)) return;
  for (uint32_t b = 0; b < order.geometry.brokers; b += 1) {
    const uint32_t at = laneOf(order, b, client);
    Lane& lane = order.lanes[at];
    const Taken taken = takenUpTo(order, order.sessions[client].topic, at);
    if (taken.reader != 0) deliver(order, at, taken.cursor);
    for (uint64_t i = std::max(lane.firstIndex, lane.released); i < lane.scanned; i += 1) {
      lane.state[i & (order.geometry.laneSlots - 1)] = Slot::done;
    }
    lane.trim = lane.scanned;
    releaseSlots(order, lane);
  }
}

uint64_t behindOf(const SequencerState& order, uint32_t topic, uint32_t reader, uint64_t generation) {
  uint64_t behind = 0;
  for (const uint32_t client : order.active) {
    if (!unordered(order, client) || order.sessions[client].topic != topic) continue;
    for (uint32_t b = 0; b < order.geometry.brokers; b += 1) {
      const uint32_t at = laneOf(order, b, client);
      behind += order.lanes[at].scanned - takenBy(order, topic, at, reader, generation);
    }
  }
  return behind;
}

void ringHolders(const SequencerState& order) {
  const Publication p = order.publication;
  const Fenced fenced = p.fullFence();
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    const Topic& topic = order.topics[t];
    if (topic.order != orderNone || topic.gating == 0) continue;
    const ReaderClaim claim = p.copy(order.region.reader(t, topic.gating - 1).claim);
    order.region.wakeProcess(fenced, claim.process, sleepsForData);
  }
}

}  // namespace ringfence::sequencing
