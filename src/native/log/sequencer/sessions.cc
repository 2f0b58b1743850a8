// Ends sessions at their committed prefix, and purges the batches that were held for them.
#include "sessions.h"

#include <algorithm>

#include "identities.h"
#include "publishing.h"
#include "region/futex.h"
#include "region/planted.h"
#include "retention.h"
#include "scan.h"
#include "unordered.h"

namespace ringfence::sequencing {

namespace {

// True when no further scan can take a batch: each lane's last scan ended at its tail, or at a batch too far ahead of a
// prefix that cannot grow any more.
bool allSeen(const SequencerState& order, uint32_t client) {
  if (endsAtOnce(order, client)) return true;
  const Session& session = order.sessions[client];
  if (!session.swept) return false;
  const uint64_t window = session.window.size();
  for (uint32_t b = 0; b < order.geometry.brokers; b += 1) {
    const Lane& lane = order.lanes[laneOf(order, b, client)];
    const bool stuck = lane.waitsFor > session.expected && lane.waitsFor - session.expected >= window;
    if (!lane.tail && !stuck) return false;
  }
  const Pending& next = session.window[session.expected & (window - 1)];
  return next.tag != session.expected + 1 || session.endReason == endCorrupt;
}

// Counts the batches that stay in the lane unscanned; the lane's next owner overwrites them.
void purgeUnscanned(SequencerState& order, uint32_t at, Session& session) {
  Lane& lane = order.lanes[at];
  const uint64_t slots = order.geometry.laneSlots;
  for (uint64_t i = std::max(lane.scanned, lane.found.end); i - lane.released < slots && descriptorReady(order, at, i); i += 1) {
    lane.purged += 1;
    session.purged += 1;
    order.totals.purged += 1;
  }
}

void purge(SequencerState& order, uint32_t client) {
  const Geometry& g = order.geometry;
  Session& session = order.sessions[client];
  for (Pending& pending : session.window) {
    if (pending.tag == 0 || pending.emitted) continue;
    Lane& lane = order.lanes[pending.lane];
    lane.state[pending.laneIndex & (g.laneSlots - 1)] = Slot::done;
    lane.held -= 1;
    lane.purged += 1;
    markDirty(order, lane);
    session.held -= 1;
    session.purged += 1;
    order.totals.purged += 1;
    pending.tag = 0;
    releaseSlots(order, lane);
  }
  for (uint32_t b = 0; b < g.brokers; b += 1) purgeUnscanned(order, laneOf(order, b, client), session);
  session.gapSinceNanos = 0;
}

// What a former epoch left unscanned in the lane is done with: the slot's next owner begins behind it.
void passFound(SequencerState& order, uint32_t at, Session& session) {
  Lane& lane = order.lanes[at];
  if (lane.scanned >= lane.found.end) return;
  for (; lane.scanned < lane.found.end; lane.scanned += 1) {
    Slot& state = lane.state[lane.scanned & (order.geometry.laneSlots - 1)];
    if (state == Slot::ordered || state == Slot::done) continue;
    state = Slot::done;
    lane.purged += 1;
    session.purged += 1;
    order.totals.purged += 1;
  }
  lane.payloadEnd = lane.found.payloadEnd;
  lane.found = {};
  releaseSlots(order, lane);
}

// SYNC: publishes the end; pairs with the observes in sessionOver and LaneWriter::endReason. From there on another session
// may take the slot. The lanes' lines follow, because what is released is explained by the end; the slot's next session
// writes to no lane before its adoption has published these lines again.
void endSession(SequencerState& order, uint32_t client) {
  Session& session = order.sessions[client];
  purge(order, client);
  dropTaken(order, client);
  deactivate(order, client);
  session.ending = false;
  if (session.topic < order.topics.size()) order.topics[session.topic].usedNanos = monotonicNanos();
  for (uint32_t b = 0; b < order.geometry.brokers; b += 1) passFound(order, laneOf(order, b, client), session);
  session.endedGeneration = session.generation;
  order.endsToTell |= session.endReason == endFenced || session.endReason == endOutlived;
  publishSession(order, client);
  endIncarnation(order, client);
  for (uint32_t b = 0; b < order.geometry.brokers; b += 1) publishLane(order, laneOf(order, b, client));
  session.window.clear();
  session.window.shrink_to_fit();
}

}  // namespace

void endAsCorrupt(SequencerState& order, uint32_t client) {
  Session& session = order.sessions[client];
  if (session.endReason == endCorrupt) return;
  session.ending = session.dirty = true;  // under order `none` its client is told at once
  session.endReason = endCorrupt;
}

bool endsAtOnce(const SequencerState& order, uint32_t client) {
  const Session& session = order.sessions[client];
  if (session.fenced || session.endReason == endOutlived) return true;
  return session.endReason == endCorrupt && (!unordered(order, client) || planted("a damaged session ends under its readers"));
}

// Ends a session at its committed prefix: one that has closed or died once all batches that it published are scanned, and
// one that has lied, has outlived its lease or is fenced as soon as the open epoch is committed.
bool endSessions(SequencerState& order) {
  bool moved = false;
  if (!order.ready.empty()) return false;
  for (size_t at = 0; at < order.active.size();) {
    const uint32_t client = order.active[at];
    if (order.sessions[client].ending && allSeen(order, client) && letGo(order, client)) {
      endSession(order, client);
      moved = true;
    } else {
      at += 1;
    }
  }
  return moved;
}

}  // namespace ringfence::sequencing
