// Adopts the sessions that clients claimed, and notes those that were closed.
#include "sequencer.h"

namespace ringfence {

namespace {

uint64_t powerOfTwoAtLeast(uint64_t n) {
  uint64_t power = 1;
  while (power < n) power <<= 1;
  return power;
}

}  // namespace

// SYNC: observes the generation that a client publishes last in its claim, and the one it publishes when it closes,
// after everything it published.
bool Sequencer::adoptClients() {
  bool moved = false;
  for (uint32_t i = 0; i < g_.clients; i += 1) {
    Session& session = sessions_[i];
    const uint64_t generation = p_.observe(region_->client(i).claim.generation);
    if (generation != 0 && generation != session.generation && !session.active) {
      const ClientClaim claim = p_.copyOut(region_->client(i).claim);
      p_.loadFence();
      // Given up before it was adopted: the slot may be another's by now, who writes where this was copied from.
      if (p_.observe(region_->client(i).line.closingGeneration) == generation || claim.generation != generation) continue;
      if (stale(claim)) adoptTopics();  // declared a moment ago
      if (claim.topic < topics_.size() && stale(claim)) {
        refuse(i, claim);
      } else {
        adopt(i, claim);
      }
      moved = true;
    }
    // A slot whose session was given up while it was adopted here may be another's by now, and closed again: the later
    // claim says so, where the word of closing no longer names this session.
    if (session.active && !session.ending &&
        (generation != session.generation ||
         p_.observe(region_->client(i).line.closingGeneration) == session.generation)) {
      session.ending = true;
      session.endReason = endClosed;
    }
  }
  return moved;
}

// The lanes of the slot go on where their former owner's ended: positions never restart, so nothing it left behind
// can look new under the new generation.
void Sequencer::adopt(uint32_t client, const ClientClaim& claim) {
  giveSlot(client);
  Session& session = sessions_[client];
  session.generation = claim.generation;
  session.id = sessionIdOf(g_, client, claim.generation);
  session.topic = claim.topic;
  session.process = claim.process;
  session.processGeneration = claim.processGeneration;
  session.active = true;
  session.ending = false;
  session.endReason = endNone;
  session.expected = session.expectedMessages = 0;
  session.held = session.heldTotal = session.duplicates = session.purged = session.gapSinceNanos = 0;
  session.window.assign(powerOfTwoAtLeast(uint64_t{g_.brokers} * g_.laneSlots), Pending{});
  for (uint32_t b = 0; b < g_.brokers; b += 1) {
    const uint32_t at = static_cast<uint32_t>(region_->laneOf(b, client));
    Lane& lane = lanes_[at];
    lane.generation = claim.generation;
    lane.firstIndex = lane.scanned;
    lane.held = lane.ordered = lane.orderedMessages = lane.delivered = lane.deliveredMessages = 0;
    lane.duplicates = lane.purged = 0;
    publishLane(at);
  }
  if (session.topic >= topics_.size()) {
    corrupt(client);
    session.topic = 0;
    session.topicName.clear();
  } else {
    session.order = topics_[session.topic].order;
    session.topicName = topics_[session.topic].name;
  }
  SessionLine::Acknowledged& line = region_->sessionLine(epoch_, client).acknowledged;
  p_.write(line.batches, uint64_t{0});
  p_.write(line.messages, uint64_t{0});
  p_.write(line.endReason, uint32_t{endNone});
  p_.wrote(&line, sizeof(line));
  p_.publish(line.generation, session.generation);
  sealSession(client);
  session.dirty = true;
}

}  // namespace ringfence
