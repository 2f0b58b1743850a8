// Scans the lanes: each published batch enters the window of its session, and leaves it for the open epoch when it may.
#include "region/futex.h"
#include "region/token.h"
#include "sequencer.h"

namespace ringfence {

namespace {

constexpr uint32_t scanBudget = 256;  // descriptors of one lane in one pass, so that no lane starves another

}  // namespace

bool Sequencer::scanLanes() {
  bool moved = false;
  for (uint32_t turn = 0; turn < g_.clients; turn += 1) {
    const uint32_t client = (firstClient_ + turn) % g_.clients;
    if (!sessions_[client].active) continue;
    moved |= emitReady(client);
    for (uint32_t b = 0; b < g_.brokers; b += 1) moved |= scanLane(client, b);
  }
  firstClient_ = (firstClient_ + 1) % g_.clients;
  return moved;
}

// SYNC: the token pairs with the publish in LaneWriter::publish.
bool Sequencer::scanLane(uint32_t client, uint32_t broker) {
  const uint32_t at = static_cast<uint32_t>(region_->laneOf(broker, client));
  Lane& lane = lanes_[at];
  Session& session = sessions_[client];
  lane.tail = false;
  lane.waitsFor = 0;
  bool moved = false;
  for (uint32_t taken = 0; taken < scanBudget; taken += 1) {
    if (session.endReason == endCorrupt || lane.scanned - lane.released >= g_.laneSlots) {
      lane.tail = true;
      break;
    }
    if (!descriptorReady(at, lane.scanned)) {
      lane.tail = true;
      break;
    }
    if (ready_.size() >= readyLimit || !roomInIndex(session.topic)) break;
    const Descriptor descriptor = p_.copyOut(region_->descriptor(at, lane.scanned));
    if (!descriptorValid(lane, session, descriptor)) corrupt(client);
    if (session.endReason == endCorrupt || !accept(client, at, descriptor)) break;
    moved = true;
  }
  return moved || session.endReason == endCorrupt;
}

bool Sequencer::descriptorReady(uint32_t at, uint64_t index) const {
  return p_.observe(region_->descriptor(at, index).token) == readyToken(index, lanes_[at].generation);
}

bool Sequencer::descriptorValid(const Lane& lane, const Session& session, const Descriptor& d) const {
  const uint64_t offset = d.payloadPosition & (g_.lanePayloadBytes - 1);
  const uint64_t bytes = batchBytesOf(d.payloadBytes, d.messageCount, d.uniformBytes);
  if (d.crc != descriptorCrc(d) || d.sessionKey >> 16 != session.id) return false;
  if (d.messageCount == 0 || bytes > g_.batchBytes || offset + bytes > g_.lanePayloadBytes) return false;
  if (offset % lineBytes != 0) return false;
  if (d.payloadPosition < lane.payloadEnd || d.payloadPosition - lane.payloadEnd > g_.lanePayloadBytes) return false;
  return d.uniformBytes == 0 || uint64_t{d.uniformBytes} * d.messageCount == d.payloadBytes;
}

// Takes the batch at the lane's scanned frontier into its session's window. False leaves it in the lane.
bool Sequencer::accept(uint32_t client, uint32_t at, const Descriptor& d) {
  Session& session = sessions_[client];
  Lane& lane = lanes_[at];
  const uint64_t window = session.window.size();
  if (d.batchSequence >= session.expected && d.batchSequence - session.expected >= window) {
    // Under `session` no honest client has so many batches outstanding; under `total` its prefix may lag behind.
    if (session.order == orderSession) corrupt(client);
    lane.waitsFor = d.batchSequence;
    return false;
  }
  Pending& pending = session.window[d.batchSequence & (window - 1)];
  const uint64_t slot = lane.scanned & (g_.laneSlots - 1);
  const uint64_t bytes = batchBytesOf(d.payloadBytes, d.messageCount, d.uniformBytes);
  lane.start[slot] = d.payloadPosition;
  lane.topic[slot] = session.topic;
  lane.payloadEnd = (d.payloadPosition + bytes + lineBytes - 1) & ~uint64_t{lineBytes - 1};
  lane.dirty = session.dirty = true;
  const uint64_t index = lane.scanned;
  lane.scanned += 1;
  if (d.batchSequence < session.expected || pending.tag == d.batchSequence + 1) {
    lane.state[slot] = Slot::done;
    lane.duplicates += 1;
    session.duplicates += 1;
    duplicates_ += 1;
    releaseSlots(lane);
    return true;
  }
  lane.state[slot] = Slot::held;
  pending = Pending{d.batchSequence + 1, index, d.firstMessage, d.payloadPosition, d.publishedNanos,
                    at, d.payloadBytes, d.messageCount, d.uniformBytes, false};
  session.held += 1;
  lane.held += 1;
  if (session.order == orderTotal) emit(client, pending);
  emitReady(client);
  if (!pending.emitted) session.heldTotal += 1;
  return true;
}

// Emits what may follow: under `session` the contiguous batches from the expected one; under `total` the prefix of
// what was emitted already is only counted.
bool Sequencer::emitReady(uint32_t client) {
  Session& session = sessions_[client];
  bool moved = false;
  for (;;) {
    Pending& pending = session.window[session.expected & (session.window.size() - 1)];
    if (pending.tag != session.expected + 1) break;
    if (!pending.emitted) {
      if (!roomInIndex(session.topic)) break;
      emit(client, pending);
    }
    session.expectedMessages += pending.messages;
    session.expected += 1;
    pending.tag = 0;
    moved = true;
  }
  // What only waits for room in the index is no gap: nothing of it is missing.
  const bool missing = session.window[session.expected & (session.window.size() - 1)].tag != session.expected + 1;
  if (session.held == 0 || !missing) {
    session.gapSinceNanos = 0;
  } else if (session.gapSinceNanos == 0 || moved) {
    session.gapSinceNanos = monotonicNanos();
  }
  if (moved) session.dirty = true;
  return moved;
}

void Sequencer::emit(uint32_t client, Pending& pending) {
  Session& session = sessions_[client];
  if (ready_.empty()) readySinceNanos_ = monotonicNanos();
  pending.emitted = true;
  ready_.push_back({client, pending});
  topics_[session.topic].pending += 1;
  session.held -= 1;
  lanes_[pending.lane].held -= 1;
}

bool Sequencer::roomInIndex(uint32_t topic) const {
  const Topic& at = topics_[topic];
  return at.committed + at.pending - at.trim < g_.indexEntries;
}

}  // namespace ringfence
