// Scans the lanes: takes each published batch into its session's window, and emits it into the open epoch in its turn.
#include "scan.h"

#include <algorithm>

#include "log/descriptor_check.h"
#include "region/futex.h"
#include "region/token.h"
#include "retention.h"
#include "sessions.h"
#include "unordered.h"

namespace ringfence::sequencing {

namespace {

constexpr uint32_t scanBudget = 256;  // descriptors of one lane in one pass, so that no lane starves another

bool descriptorValid(const SequencerState& order, const Lane& lane, const Session& session, const Descriptor& d) {
  return descriptorSound(order.geometry, d, session.id) && descriptorFollows(order.geometry, d, lane.payloadEnd);
}

bool roomInIndex(const SequencerState& order, uint32_t topic) {
  const Topic& at = order.topics[topic];
  return at.committed + at.pending - at.trim < order.geometry.indexEntries;
}

// Without an order there is no index, so a batch needs no room there.
bool mayTake(const SequencerState& order, uint32_t client) {
  if (unordered(order, client)) return true;
  return order.ready.size() < readyLimit && roomInIndex(order, order.sessions[client].topic);
}

void emit(SequencerState& order, uint32_t client, Pending& pending) {
  Session& session = order.sessions[client];
  if (order.ready.empty()) order.readySinceNanos = monotonicNanos();
  pending.emitted = true;
  order.ready.push_back({client, pending});
  order.topics[session.topic].pending += 1;
  session.held -= 1;
  order.lanes[pending.lane].held -= 1;
}

// Emits the contiguous batches from the expected one on. Under `total` they may be emitted already, and are only
// counted into the prefix. Under `session` a batch says itself how many records came before it: an identity goes on there.
bool emitReady(SequencerState& order, uint32_t client) {
  Session& session = order.sessions[client];
  bool moved = false;
  for (;;) {
    Pending& pending = session.window[session.expected & (session.window.size() - 1)];
    if (pending.tag != session.expected + 1) break;
    if (!pending.emitted) {
      if (session.order == orderSession && pending.firstMessage != session.expectedMessages) {
        endAsCorrupt(order, client);
        break;
      }
      if (!roomInIndex(order, session.topic)) break;
      emit(order, client, pending);
    }
    session.expectedMessages += pending.messages;
    session.expected += 1;
    pending.tag = 0;
    moved = true;
  }
  // Batches that only wait for room in the index are not a gap.
  const bool missing = session.window[session.expected & (session.window.size() - 1)].tag != session.expected + 1;
  if (session.held == 0 || !missing) {
    session.gapSinceNanos = 0;
  } else if (session.gapSinceNanos == 0 || moved) {
    session.gapSinceNanos = monotonicNanos();
  }
  if (moved) session.dirty = true;
  return moved;
}

// Takes the batch at the lane's scanned frontier into its session's window. Returns false if it must stay in the lane.
bool accept(SequencerState& order, uint32_t client, uint32_t at, const Descriptor& d) {
  Session& session = order.sessions[client];
  Lane& lane = order.lanes[at];
  const uint64_t window = session.window.size();
  if (d.batchSequence >= session.expected && d.batchSequence - session.expected >= window) {
    // Under `session` the slots bound a correct client's outstanding batches; under `total` its prefix may lag further.
    if (session.order == orderSession) endAsCorrupt(order, client);
    lane.waitsFor = d.batchSequence;
    return false;
  }
  Pending& pending = session.window[d.batchSequence & (window - 1)];
  const uint64_t slot = lane.scanned & (order.geometry.laneSlots - 1);
  const uint64_t bytes = batchBytesOf(d.payloadBytes, d.messageCount, d.uniformBytes);
  lane.start[slot] = d.payloadPosition;
  lane.topic[slot] = session.topic;
  lane.payloadEnd = (d.payloadPosition + bytes + lineBytes - 1) & ~uint64_t{lineBytes - 1};
  markDirty(order, lane);
  session.dirty = true;
  const uint64_t index = lane.scanned;
  lane.scanned += 1;
  if (d.batchSequence < session.expected || pending.tag == d.batchSequence + 1) {
    lane.state[slot] = Slot::done;
    lane.duplicates += 1;
    session.duplicates += 1;
    order.totals.duplicates += 1;
    releaseSlots(order, lane);
    return true;
  }
  lane.state[slot] = Slot::held;
  pending = Pending{d.batchSequence + 1, index, d.firstMessage, d.payloadPosition, d.publishedNanos,
                    at, d.payloadBytes, d.messageCount, d.uniformBytes, false};
  session.held += 1;
  lane.held += 1;
  if (session.order == orderTotal) emit(order, client, pending);
  emitReady(order, client);
  if (!pending.emitted) session.heldTotal += 1;
  return true;
}

// Passes the slot if a former epoch has ordered it, or was done with it.
bool passFound(SequencerState& order, Lane& lane) {
  if (lane.scanned >= lane.found.end) return false;
  const Slot state = lane.state[lane.scanned & (order.geometry.laneSlots - 1)];
  if (state != Slot::ordered && state != Slot::done) return false;
  lane.payloadEnd = lane.found.payloadEnds[lane.scanned - lane.found.first];
  lane.scanned += 1;
  markDirty(order, lane);
  releaseSlots(order, lane);
  return true;
}

// SYNC: observes the token; pairs with the publish in LaneWriter::publish.
bool scanLane(SequencerState& order, uint32_t client, uint32_t broker) {
  const uint32_t at = laneOf(order, broker, client);
  Lane& lane = order.lanes[at];
  Session& session = order.sessions[client];
  lane.tail = false;
  lane.waitsFor = 0;
  const bool wasCorrupt = session.endReason == endCorrupt;
  bool moved = false;
  for (uint32_t taken = 0; taken < scanBudget; taken += 1) {
    if (endsAtOnce(order, client) || lane.scanned - lane.released >= order.geometry.laneSlots) {
      lane.tail = true;
      break;
    }
    if (passFound(order, lane)) {
      moved = true;
      continue;
    }
    const auto payload = descriptorReady(order, at, lane.scanned);
    if (!payload) {
      lane.tail = true;
      break;
    }
    lane.payload = payload;
    if (!mayTake(order, client)) break;
    const Descriptor descriptor = order.publication.copy(order.region.descriptor(at, lane.scanned));
    if (!descriptorValid(order, lane, session, descriptor)) {
      endAsCorrupt(order, client);
      lane.tail = true;
      break;
    }
    if (unordered(order, client)) {
      noteUnordered(order, client, at, descriptor);
    } else if (!accept(order, client, at, descriptor)) {
      break;
    }
    moved = true;
  }
  return moved || (session.endReason == endCorrupt && !wasCorrupt);
}

// A client publishes the tokens of a lane one after the other. So one that is missing ahead of a token that is there was
// damaged: neither the sequencer nor a reader would ever see its batch, nor those behind it.
// SYNC: observes the next token before it looks for the missing one again; pairs with the publishes in
// LaneWriter::publish, which are made in the lane's order.
bool hasHole(const SequencerState& order, uint32_t at) {
  const uint64_t index = order.lanes[at].scanned;
  return !descriptorReady(order, at, index) && descriptorReady(order, at, index + 1) && !descriptorReady(order, at, index);
}

// A session that ends, or that lacks a batch, is scanned whole: a decision is taken on it.
bool scanSession(SequencerState& order, uint32_t client, Sweep sweep) {
  Session& session = order.sessions[client];
  const uint32_t brokers = order.geometry.brokers;
  const bool whole = sweep == Sweep::whole || session.ending || session.held != 0;
  const uint32_t count = whole ? brokers : std::min(brokers, order.options.share);
  bool moved = emitReady(order, client);
  for (uint32_t i = 0; i < count; i += 1) {
    moved |= scanLane(order, client, session.nextBroker);
    session.nextBroker = session.nextBroker + 1 == brokers ? 0 : session.nextBroker + 1;
  }
  session.swept = count == brokers;
  return moved;
}

}  // namespace

bool endSessionsWithHoles(SequencerState& order) {
  bool found = false;
  for (const uint32_t client : order.active) {
    for (uint32_t b = 0; b < order.geometry.brokers; b += 1) {
      if (order.sessions[client].endReason == endCorrupt || !hasHole(order, laneOf(order, b, client))) continue;
      endAsCorrupt(order, client);
      found = true;
    }
  }
  return found;
}

bool scanLanes(SequencerState& order, Sweep sweep) {
  const std::vector<uint32_t>& active = order.active;
  const auto first = std::lower_bound(active.begin(), active.end(), order.firstClient) - active.begin();
  bool moved = false;
  for (size_t turn = 0; turn < active.size(); turn += 1) {
    const uint32_t client = active[(static_cast<size_t>(first) + turn) % active.size()];
    const Session& session = order.sessions[client];
    // Nothing of a session that is fenced is emitted any more, not even what is scanned.
    if (!session.fenced && session.endReason != endOutlived) moved |= scanSession(order, client, sweep);
  }
  order.firstClient = (order.firstClient + 1) % order.geometry.clients;
  return moved;
}

std::optional<Seen<Payload>> descriptorReady(const SequencerState& order, uint32_t at, uint64_t index) {
  const auto token = order.publication.observeCovering<&Descriptor::token>(order.region.descriptor(at, index));
  if (token.value != readyToken(order.region.mark(), index, order.lanes[at].generation)) return std::nullopt;
  return token.seen;
}

}  // namespace ringfence::sequencing
