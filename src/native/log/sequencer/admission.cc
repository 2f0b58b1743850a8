// Adopts the sessions that clients claimed, and marks those that they closed.
#include "admission.h"

#include "identities.h"
#include "publishing.h"
#include "reports.h"
#include "sessions.h"
#include "topic_places.h"

namespace ringfence::sequencing {

namespace {

bool stale(const SequencerState& order, const ClientClaim& claim) {
  if (claim.topic >= order.topics.size()) return true;
  return order.topics[claim.topic].free || order.topics[claim.topic].generation != claim.topicGeneration;
}

// Of a lane that the session takes over from the slot's former one.
void beginLane(SequencerState& order, uint32_t at, uint64_t generation) {
  Lane& lane = order.lanes[at];
  lane.generation = generation;
  lane.firstIndex = lane.trim = lane.deliveredTo = lane.scanned;
  lane.held = lane.ordered = lane.orderedMessages = lane.delivered = lane.deliveredMessages = 0;
  lane.duplicates = lane.purged = 0;
  publishLane(order, at);
}

void beginSession(SequencerState& order, uint32_t client, const ClientClaim& claim) {
  Session& session = order.sessions[client];
  session.generation = claim.generation;
  session.id = sessionIdOf(order.geometry, client, claim.generation);
  session.topic = claim.topic;
  session.topicGeneration = claim.topicGeneration;
  session.process = claim.process;
  session.processGeneration = claim.processGeneration;
  activate(order, client);
  session.ending = false;
  session.endReason = endNone;
  session.expected = order.options.first.batches;
  session.expectedMessages = order.options.first.sessionMessages;
  session.seen = session.seenMessages = 0;
  session.leaving = session.untaken = false;
  session.order = orderSession;
  session.held = session.heldTotal = session.duplicates = session.purged = session.gapSinceNanos = 0;
  session.gapNanos = session.gapCountedNanos = session.gapExpected = 0;
  session.fenced = session.refused = false;
  session.identity = session.incarnation = 0;
  session.identityGeneration = session.base = 0;
  session.window.assign(order.region.layout().windowPlaces(), Pending{});
}

// Positions of the slot's lanes continue from their former owner's: they never restart, so no batch of the former owner
// can look new under the new generation. Publishes the session's line and then its lanes: a successor that finds a lane of
// another generation knows that the adoption was cut short.
void adoptSession(SequencerState& order, uint32_t client, const ClientClaim& claim, IdentityClaimed identity) {
  giveSlot(order, client);
  beginSession(order, client, claim);
  Session& session = order.sessions[client];
  if (session.topic >= order.topics.size()) {
    endAsCorrupt(order, client);
    session.topic = 0;
    session.topicName.clear();
  } else {
    session.order = order.topics[session.topic].order;
    session.topicName = order.topics[session.topic].name;
  }
  if (identity == IdentityClaimed::damaged) endAsCorrupt(order, client);
  clearFacts(order, client);
  if (identity == IdentityClaimed::given) beginIncarnation(order, client, claim);
  publishSessionAdoption(order, client);
  publishAcknowledged(order, client);
  for (uint32_t b = 0; b < order.geometry.brokers; b += 1) beginLane(order, laneOf(order, b, client), claim.generation);
  session.dirty = true;
}

bool anyBroken(const SequencerState& order, uint32_t client) {
  for (uint32_t b = 0; b < order.geometry.brokers; b += 1) {
    if (order.lanes[laneOf(order, b, client)].broken) return true;
  }
  return false;
}

// Refuses a session whose topic was freed before its adoption, or that comes too late for its identity: it ends as it
// begins, and its lanes stay as they are.
// SYNC: publishes the seal last; pairs with the reads in LaneWriter::ready and LaneWriter::endReason.
void refuseSession(SequencerState& order, uint32_t client, const ClientClaim& claim, EndReason reason) {
  giveSlot(order, client);
  Session& session = order.sessions[client];
  session.generation = session.endedGeneration = claim.generation;
  session.id = sessionIdOf(order.geometry, client, claim.generation);
  session.endReason = reason;
  session.refused = true;
  session.identity = 0;
  session.order = orderSession;
  session.leaving = false;
  session.expected = session.expectedMessages = 0;
  publishAcknowledged(order, client);
}

}  // namespace

uint64_t closingOf(const SequencerState& order, uint32_t client) {
  return order.publication.observe<&ClientLine::closingGeneration>(order.region.client(client).line);
}

namespace {

// False while the claim waits for the end of the session that has its identity.
bool adoptClaim(SequencerState& order, uint32_t client, const ClientClaim& claim) {
  if (stale(order, claim)) adoptTopics(order);  // the topic may have just been declared
  if (claim.topic < order.topics.size() && stale(order, claim)) {
    refuseSession(order, client, claim, endTopicGone);
    return true;
  }
  const IdentityClaimed identity = claimIdentity(order, claim);
  if (identity == IdentityClaimed::waits) return false;
  if (identity == IdentityClaimed::late) {
    refuseSession(order, client, claim, endFenced);
  } else {
    adoptSession(order, client, claim, identity);
  }
  return true;
}

// True when it adopts the session that has claimed the slot. Notes that the slot's session has closed.
// SYNC: observes the generation that a client publishes last in its claim, and the one that it publishes at its close,
// after all its batches.
bool lookAtClaim(SequencerState& order, uint32_t i) {
  const Publication p = order.publication;
  Session& session = order.sessions[i];
  bool moved = false;
  const uint64_t generation = p.observe<&ClientClaim::generation>(order.region.client(i).claim);
  if (generation != 0 && generation != session.generation && !session.active && !anyBroken(order, i)) {
    const ClientClaim claim = p.copy(order.region.client(i).claim);
    p.loadFence();
    // Skip a claim that was closed before its adoption: another client may be rewriting the slot that was copied.
    if (closingOf(order, i) == generation || claim.generation != generation) return false;
    if (!adoptClaim(order, i, claim)) return false;
    moved = true;
  }
  // A session closed during its adoption may have lost its slot already, even to a session that has closed too: then
  // the closing generation names the later session, but so does the claim.
  if (session.active && !session.ending && (generation != session.generation || closingOf(order, i) == session.generation)) {
    session.ending = true;
    session.endReason = endClosed;
  }
  return moved;
}

}  // namespace

bool adoptSessions(SequencerState& order, Sweep sweep) {
  const uint32_t clients = order.geometry.clients;
  bool moved = false;
  if (sweep == Sweep::whole || clients <= order.options.share) {
    for (uint32_t i = 0; i < clients; i += 1) moved |= lookAtClaim(order, i);
    return moved;
  }
  for (const uint32_t client : order.active) lookAtClaim(order, client);  // whose slot no other session takes
  for (uint32_t i = 0; i < order.options.share; i += 1) {
    if (!order.sessions[order.nextClaim].active) moved |= lookAtClaim(order, order.nextClaim);
    order.nextClaim = order.nextClaim + 1 == clients ? 0 : order.nextClaim + 1;
  }
  return moved;
}

}  // namespace ringfence::sequencing
