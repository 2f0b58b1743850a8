// Ends sessions at their committed prefix, and purges the batches that were held for them.
#include "region/futex.h"
#include "sequencer.h"

namespace ringfence {

void Sequencer::corrupt(uint32_t client) {
  Session& session = sessions_[client];
  session.ending = true;
  session.endReason = endCorrupt;
}

// A session that closes, died or lied ends at its committed prefix, once everything it published was seen.
bool Sequencer::endSessions() {
  bool moved = false;
  for (uint32_t i = 0; i < g_.clients; i += 1) {
    const Session& session = sessions_[i];
    if (!session.active || !session.ending || !ready_.empty() || !allSeen(i)) continue;
    end(i);
    moved = true;
  }
  return moved;
}

// True when no further scan can bring anything: each lane's last one ended at its tail, or at a batch too far ahead of a
// prefix that nothing completes any more.
bool Sequencer::allSeen(uint32_t client) const {
  const Session& session = sessions_[client];
  const uint64_t window = session.window.size();
  for (uint32_t b = 0; b < g_.brokers; b += 1) {
    const Lane& lane = lanes_[region_->laneOf(b, client)];
    const bool stuck = lane.waitsFor > session.expected && lane.waitsFor - session.expected >= window;
    if (!lane.tail && !stuck && session.endReason != endCorrupt) return false;
  }
  const Pending& next = session.window[session.expected & (window - 1)];
  return next.tag != session.expected + 1 || session.endReason == endCorrupt;
}

// SYNC: the end pairs with the observe in claimClient and LaneWriter::endReason; the slot may be taken from there on.
void Sequencer::end(uint32_t client) {
  Session& session = sessions_[client];
  purge(client);
  session.active = false;
  session.ending = false;
  if (session.topic < topics_.size()) topics_[session.topic].usedNanos = monotonicNanos();
  publishSession(client);
  for (uint32_t b = 0; b < g_.brokers; b += 1) publishLane(static_cast<uint32_t>(region_->laneOf(b, client)));
  SessionLine::Acknowledged& line = region_->sessionLine(epoch_, client).acknowledged;
  p_.publish(line.endReason, session.endReason);
  session.endedGeneration = session.generation;
  p_.publish(line.endedGeneration, session.generation);
  sealSession(client);
  session.window.clear();
  session.window.shrink_to_fit();
}

void Sequencer::purge(uint32_t client) {
  Session& session = sessions_[client];
  for (Pending& pending : session.window) {
    if (pending.tag == 0 || pending.emitted) continue;
    Lane& lane = lanes_[pending.lane];
    lane.state[pending.laneIndex & (g_.laneSlots - 1)] = Slot::done;
    lane.held -= 1;
    lane.purged += 1;
    lane.dirty = true;
    session.held -= 1;
    session.purged += 1;
    purged_ += 1;
    pending.tag = 0;
    releaseSlots(lane);
  }
  for (uint32_t b = 0; b < g_.brokers; b += 1) purgeUnscanned(static_cast<uint32_t>(region_->laneOf(b, client)), session);
  session.gapSinceNanos = 0;
}

// What stays in the lane behind a batch that was not taken is counted; the lane's next owner writes over it.
void Sequencer::purgeUnscanned(uint32_t at, Session& session) {
  Lane& lane = lanes_[at];
  for (uint64_t i = lane.scanned; i - lane.released < g_.laneSlots && descriptorReady(at, i); i += 1) {
    lane.purged += 1;
    session.purged += 1;
    purged_ += 1;
  }
}

}  // namespace ringfence
