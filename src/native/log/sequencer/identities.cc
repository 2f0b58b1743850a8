#include "identities.h"

#include <cstring>

#include "admission.h"
#include "log/identities.h"
#include "region/planted.h"
#include "region/sealed_line.h"

namespace ringfence::sequencing {

namespace {

// What the session has committed, once no epoch is open.
uint64_t committedOf(const SequencerState& order, const Session& session) {
  return session.expectedMessages - order.options.first.sessionMessages;
}

// Whether the claim names the identity that the slot has, which was declared since the sequencer looked last.
bool adoptIdentity(SequencerState& order, const ClientClaim& claim) {
  IdentityRecord& record = order.identities[claim.identity - 1];
  IdentityView view{};
  if (claim.identityGeneration < record.generation || record.client != 0) return false;
  if (identityAt(order.region, claim.identity - 1, view) != IdentityState::declared) return false;
  if (view.generation != claim.identityGeneration) return false;
  if (view.topic.index != claim.topic || view.topic.generation != claim.topicGeneration) return false;
  record = {};
  record.generation = view.generation;
  record.base = view.base;
  return true;
}

void clearIdentity(const SequencerState& order, Line<IdentityLine::Standing, role::Sequencer>& line) {
  const IdentityLine::Standing none{};
  const IdentityLine::Standing local = order.publication.copy(line);
  if (std::memcmp(&local, &none, sizeof(none)) != 0) order.publication.on(order.role, line).all(none);
}

// Ends the session at its committed prefix, whether its process lives or not. One that its client has closed ends in its own
// time: all that it published is scanned first.
void fence(SequencerState& order, uint32_t client) {
  Session& session = order.sessions[client];
  const bool closed = session.endReason == endClosed || (!session.ending && closingOf(order, client) == session.generation);
  if (closed && !session.fenced) return;
  session.fenced = true;
  if (session.ending) return;
  session.ending = true;
  session.endReason = endFenced;
}

}  // namespace

IdentityClaimed claimIdentity(SequencerState& order, const ClientClaim& claim) {
  if (claim.identity == 0 || claim.topic >= order.topics.size()) return IdentityClaimed::none;
  if (order.topics[claim.topic].order != orderSession) return IdentityClaimed::none;
  if (claim.identity > order.identities.size()) return IdentityClaimed::damaged;
  const IdentityRecord& record = order.identities[claim.identity - 1];
  if (claim.identityGeneration != record.generation && !adoptIdentity(order, claim)) return IdentityClaimed::damaged;
  if (record.damaged) return IdentityClaimed::damaged;
  if (claim.continues != 0 && claim.continues != record.incarnation) return IdentityClaimed::late;
  if (record.client == 0) return IdentityClaimed::given;
  fence(order, record.client - 1);
  return planted("a claim is adopted ahead of its predecessor's end") ? IdentityClaimed::given : IdentityClaimed::waits;
}

void beginIncarnation(SequencerState& order, uint32_t client, const ClientClaim& claim) {
  Session& session = order.sessions[client];
  IdentityRecord& record = order.identities[claim.identity - 1];
  record.incarnation += 1;
  record.client = client + 1;
  record.sessionGeneration = session.generation;
  session.identity = claim.identity;
  session.identityGeneration = record.generation;
  session.incarnation = record.incarnation;
  session.base = record.base;
  publishIdentity(order, claim.identity - 1);
}

void endIncarnation(SequencerState& order, uint32_t client) {
  const Session& session = order.sessions[client];
  if (session.identity == 0) return;
  IdentityRecord& record = order.identities[session.identity - 1];
  if (record.client != client + 1 || record.sessionGeneration != session.generation) return;
  record.base += committedOf(order, session);
  record.client = 0;
  record.sessionGeneration = 0;
  publishIdentity(order, session.identity - 1);
}

// SYNC: pairs with the readEither in Reading::identity, which comes ahead of the look at the sessions.
void publishIdentity(const SequencerState& order, uint32_t identity) {
  const IdentityRecord& record = order.identities[identity];
  IdentityLine::Standing local{};
  local.generation = record.generation;
  local.base = record.base;
  local.sessionGeneration = record.sessionGeneration;
  local.client = record.client;
  local.incarnation = record.incarnation;
  local.damaged = record.damaged ? 1 : 0;
  IdentityLine& line = order.region.identityLine(order.epoch, identity);
  publishTwice(order.publication, order.role, line.standing, line.standingSpare, Sealed(local));
}

void writeIdentities(const SequencerState& order) {
  for (uint32_t i = 0; i < order.identities.size(); i += 1) {
    if (order.identities[i].generation != 0) {
      publishIdentity(order, i);
      continue;
    }
    IdentityLine& line = order.region.identityLine(order.epoch, i);
    clearIdentity(order, line.standingSpare);
    clearIdentity(order, line.standing);
  }
}

// --- recovery

namespace {

class IdentityRecovery {
 public:
  IdentityRecovery(SequencerState& order, const Former& former) : order_(order), former_(former) {}

  void run() {
    for (uint32_t i = 0; i < order_.identities.size(); i += 1) begin(i);
    for (uint32_t c = 0; c < order_.sessions.size(); c += 1) bySession(c);
    for (uint32_t i = 0; i < order_.identities.size(); i += 1) byLine(i);
  }

 private:
  // By its line alone. What a damaged one said is not known, unless its session says it.
  void begin(uint32_t i) {
    const FormerIdentity& f = former_.identities[i];
    IdentityRecord& record = order_.identities[i];
    record.generation = f.whole ? f.standing.generation : f.slotGeneration;
    record.incarnation = f.standing.incarnation;
    record.base = f.standing.base;
    record.damaged = !f.whole || f.standing.damaged != 0;
    if (f.whole) return;
    record.incarnation = 0;
    record.base = 0;
  }

  // A session names its identity in its own line, which is read later than the identity's: a deposed sequencer may have
  // adopted it in between.
  void bySession(uint32_t c) {
    const FormerSession& f = former_.sessions[c];
    Session& session = order_.sessions[c];
    const SessionLine::Adoption& a = f.adoption;
    if (!f.adopted || a.generation != session.generation || a.identity == 0 || a.identity > order_.identities.size()) return;
    IdentityRecord& record = order_.identities[a.identity - 1];
    if (planted("a session that its identity's line does not name") || a.identityGeneration < record.generation) return;
    const bool newer = a.identityGeneration > record.generation || a.incarnation > record.incarnation;
    if (!newer && !(session.active && a.incarnation == record.incarnation)) return;
    if (a.identityGeneration > record.generation) record = {};
    record.generation = a.identityGeneration;
    link(c, a.identity, a.incarnation, a.base);
  }

  // A line that names a session: the session is not known to have it if it names none itself.
  void byLine(uint32_t i) {
    const FormerIdentity& f = former_.identities[i];
    IdentityRecord& record = order_.identities[i];
    const IdentityLine::Standing& s = f.standing;
    const bool named = f.whole && s.client != 0 && s.client <= order_.sessions.size();
    if (!named || s.generation != record.generation || s.incarnation != record.incarnation || record.client != 0) return;
    const Session& session = order_.sessions[s.client - 1];
    if (session.generation == s.sessionGeneration) return link(s.client - 1, i + 1, s.incarnation, s.base);
    // The adoption was cut short ahead of the session's line, so no process knows of it: the claim is adopted anew.
    if (session.generation < s.sessionGeneration) record.incarnation -= 1;
    record.damaged |= session.generation > s.sessionGeneration;
  }

  void link(uint32_t c, uint32_t identity, uint32_t incarnation, uint64_t base) {
    Session& session = order_.sessions[c];
    IdentityRecord& record = order_.identities[identity - 1];
    record.incarnation = incarnation;
    record.base = base;
    if (session.active) {
      session.identity = identity;
      session.identityGeneration = record.generation;
      session.incarnation = incarnation;
      session.base = base;
      record.client = c + 1;
      record.sessionGeneration = session.generation;
      // Without its line the session's prefix is what kept entries prove, if any does.
      record.damaged = !former_.sessions[c].whole && session.expected == order_.options.first.batches;
    } else {
      record.base += committedOf(order_, session);
    }
  }

  SequencerState& order_;
  const Former& former_;
};

}  // namespace

void recoverIdentities(SequencerState& order, const Former& former) { IdentityRecovery(order, former).run(); }

}  // namespace ringfence::sequencing
