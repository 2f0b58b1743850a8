// Identities: a newer session fences the one before it, whether that lives or not, and goes on where its records end. That
// survives the restart of the client, of the server, and of both.
#include <signal.h>

#include "named_fixture.h"
#include "raw_line.h"
#include "steps.h"

namespace ringfence::test {

namespace {

TEST("an identity has one place for each name in a topic, and another in another topic") {
  NamedLog at;
  CHECK_EQUAL(declaredIdentity(at.log.region(), at.identity.topic, "p").index, at.identity.index);
  CHECK_EQUAL(declaredIdentity(at.log.region(), at.identity.topic, "p").generation, 1);
  CHECK(declaredIdentity(at.log.region(), at.identity.topic, "q").index != at.identity.index);
  const uint32_t other = at.log.declare("u", orderSession);
  CHECK(declaredIdentity(at.log.region(), at.log.placeOf(other), "p").index != at.identity.index);
  IdentityView identity{};
  CHECK_EQUAL(declareIdentity(*at.log.region(), at.identity.topic, "", identity).fault, "invalid");
  CHECK_EQUAL(declareIdentity(*at.log.region(), {0, 7}, "p", identity).fault, "gone");
}

TEST("the sessions of an identity are counted, and each is told what was committed before it") {
  NamedLog at;
  uint64_t before = 0;
  for (uint64_t number = 1; number < 6; number += 1) {
    Author author(at.log, at.identity);
    CHECK_EQUAL(author.admitted().lanes().incarnation().number, number);
    CHECK_EQUAL(author.lanes().incarnation().base, before);
    author.publishes(number);
    before += firstMessageOf(number);
    CHECK_EQUAL(at.committed(), before);
    author.leaves();
  }
}

TEST("a newer session fences one that lives, at its committed prefix: what lies above never commits") {
  NamedLog at;
  Author old(at.log, at.identity);
  old.admitted().publishes(2);
  CHECK(old.publishing->publish(1, 3));  // behind a gap
  at.log.settle();
  Author newer(at.log, at.identity);
  CHECK(old.publishing->publish(0, 2));  // closes the gap, and is not scanned
  newer.admitted();
  CHECK_EQUAL(old.lanes().endReason(), endFenced);
  CHECK_EQUAL(old.lanes().committedBatches(), 2);
  CHECK_EQUAL(newer.lanes().incarnation().number, 2);
  CHECK_EQUAL(newer.lanes().incarnation().base, firstMessageOf(2));
  CHECK_EQUAL(old.lanes().uncommitted().size(), 2);
  CHECK(!old.publishing->publish(0, 4));
  newer.publishes(3);
  CHECK_EQUAL(at.committed(), firstMessageOf(2) + firstMessageOf(3));
  CHECK_EQUAL(old.lanes().committedMessages(), firstMessageOf(2));
}

TEST("a newer session fences one whose process is dead, before the server has noticed the death") {
  NamedLog at;
  Author old(at.log, at.identity);
  old.admitted().publishes(1);
  CHECK(old.publishing->publish(1, 2));
  at.log.settle();
  old.region->close();
  Author newer(at.log, at.identity);
  CHECK_EQUAL(newer.admitted().lanes().incarnation().base, 1);
  newer.publishes(1);
  CHECK_EQUAL(at.committed(), 2);
}

TEST("a session that its client has closed is not fenced: all that it published is committed ahead of the newer one") {
  NamedLog at;
  Author old(at.log, at.identity);
  old.admitted();
  for (uint64_t i = 0; i < 6; i += 1) CHECK(old.publishing->publish(i % 2, i));
  old.lanes().close();
  Claim claim;  // both are seen by one pass
  CHECK_EQUAL(claimClient(*at.log.region(), at.identity.topic, claim, {at.identity.index, at.identity.generation, 0}).fault, "none");
  CHECK_EQUAL(at.log.admit(claim)->incarnation().base, firstMessageOf(6));
  CHECK_EQUAL(old.lanes().endReason(), endClosed);
  CHECK_EQUAL(at.committed(), firstMessageOf(6));
}

TEST("an identity goes on over the restart of its client, of the server, and of both") {
  NamedLog at;
  uint64_t before = 0;
  for (uint64_t number = 1; number < 13; number += 1) {
    Author author(at.log, at.identity);
    CHECK_EQUAL(author.admitted().lanes().incarnation().number, number);
    CHECK_EQUAL(author.lanes().incarnation().base, before);
    author.publishes(1 + number % 3);
    before += firstMessageOf(1 + number % 3);
    if (number % 4 == 1) at.isTakenOver();
    if (number % 4 == 2) author.leaves();
    if (number % 4 == 3) {
      author.leaves();
      at.isTakenOver();
    }
    if (number % 4 == 0) {
      author.region->close();
      at.isTakenOver();
    }
    CHECK_EQUAL(at.committed(), before);
  }
}

std::shared_ptr<Region> attached(const std::string& path, const char* name) {
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::attach({path, name, false}, region).fault, "none");
  return region;
}

void makePasses(Sequencer& server, const Region& region) {
  for (int i = 0; i < 6; i += 1) {
    server.step();
    server.endDead();
    for (uint32_t b = 0; b < region.layout().geometry.brokers; b += 1) grantLanes(region, b);
  }
}

// Takes the log over, fences the old session, and adopts the newer one.
bool serve(const std::shared_ptr<Region>& region) {
  static Sequencer* server = nullptr;
  server = new Sequencer(region, TestLog::manual());
  if (!server->start().ok()) return false;
  makePasses(*server, *region);
  return true;
}

// For many stores of a server that takes the log over, fences a session and adopts the newer one: it gets the signal ahead
// of the store, and another server goes on.
void atManySteps(int signal) {
  uint64_t step = 0;
  for (bool met = true; met; step += 1 + mix64(step) % (7 * slowness)) {
    const std::string path = scratchFolder() + "/region" + std::to_string(step);
    TestLog log(namedRegion(path), TestLog::manual());
    const IdentityView identity = declaredIdentity(log.region(), log.placeOf(log.declare("t", orderSession)), "p");
    Author old(log, identity, 0, attached(path, "old"));
    old.admitted().publishes(2);
    CHECK(old.publishing->publish(1, 3));  // behind a gap
    log.sequencer().stop(true);
    Author newer(log, identity, 0, attached(path, "newer"));
    Victim victim(path, step, signal, &serve);
    met = victim.met();
    const bool admitted = newer.lanes().ready();
    if (signal == SIGKILL) victim.kill();
    const auto next = attached(path, "next");
    Sequencer server(next, TestLog::manual());
    CHECK_EQUAL(server.start(signal == SIGKILL ? 0 : headsOf(*next).newest.number).fault, "none");
    if (signal != SIGKILL && met) victim.goOn();
    until("the newer session is admitted", [&] { return makePasses(server, *next), newer.lanes().ready(); });
    CHECK(!admitted || old.lanes().endReason() == endFenced);
    CHECK_EQUAL(newer.lanes().incarnation().number, 2);
    CHECK_EQUAL(newer.lanes().incarnation().base, firstMessageOf(2));
    CHECK_EQUAL(old.lanes().endReason(), endFenced);
    CHECK_EQUAL(old.lanes().committedBatches(), 2);
    CHECK_EQUAL(old.lanes().uncommitted().size(), 1);
    for (const uint64_t sequence : {0, 1}) CHECK(newer.publishing->publish(static_cast<uint32_t>(sequence), sequence));
    until("its records are acknowledged", [&] { return makePasses(server, *next), newer.lanes().committedBatches() == 2; });
    CHECK_EQUAL(next->publication().observe<&TopicLine::Committed::messages>(next->topicLine(next->servedEpoch(), 0).committed), 2 * firstMessageOf(2));
  }
  CHECK(step > 300);
}

TEST_OF_ONE_THREAD("a server is killed before any store of a fence and of the adoption behind it: the next one fences and adopts once") {
  atManySteps(SIGKILL);
}

TEST_OF_ONE_THREAD("a server is stopped before any store of a fence and of the adoption behind it, is taken for stuck, and goes on: it harms nothing") {
  atManySteps(SIGSTOP);
}

TEST("of sessions that come at once one stays, and the others are fenced") {
  NamedLog at;
  Author one(at.log, at.identity), other(at.log, at.identity), third(at.log, at.identity);
  at.log.settle();
  CHECK_EQUAL(one.lanes().endReason(), endFenced);
  CHECK_EQUAL(other.lanes().endReason(), endFenced);
  CHECK_EQUAL(third.admitted().lanes().incarnation().number, 3);
  CHECK(!one.lanes().ready() && !other.lanes().ready());
  third.publishes(2);
  CHECK_EQUAL(third.lanes().committedBatches(), 2);
}

TEST("a session that continues an incarnation is refused once a newer one had the identity, and admitted otherwise") {
  NamedLog at;
  Author first(at.log, at.identity);
  first.admitted().publishes(1);
  first.leaves();
  Author second(at.log, at.identity, 1);
  CHECK_EQUAL(second.admitted().lanes().incarnation().number, 2);
  Author late(at.log, at.identity, 1);
  CHECK_EQUAL(late.admitted().lanes().endReason(), endFenced);
  CHECK(!late.lanes().ready());
  CHECK_EQUAL(second.lanes().endReason(), endNone);
  late.leaves();
  at.isTakenOver();
  CHECK_EQUAL(second.lanes().endReason(), endNone);
  second.publishes(1);
  CHECK_EQUAL(at.committed(), 2);
}

TEST("a session without an identity fences none, and an identity under order total is ignored") {
  NamedLog at;
  Author named(at.log, at.identity);
  named.admitted();
  const auto plain = at.log.open(at.topic);
  CHECK_EQUAL(plain->incarnation().number, 0);
  CHECK_EQUAL(named.lanes().endReason(), endNone);
  const uint32_t total = at.log.declare("u", orderTotal);
  const IdentityView ignored = declaredIdentity(at.log.region(), at.log.placeOf(total), "p");
  Author other(at.log, ignored);
  CHECK_EQUAL(other.admitted().lanes().incarnation().number, 0);
}

TEST("a hundred fences in a row make progress, and leak no slot") {
  NamedLog at;
  std::unique_ptr<Author> old;
  for (uint64_t number = 1; number <= 100; number += 1) {
    auto newer = std::make_unique<Author>(at.log, at.identity);
    CHECK_EQUAL(newer->admitted().lanes().incarnation().number, number);
    CHECK_EQUAL(newer->lanes().incarnation().base, number - 1);
    if (old) {
      CHECK_EQUAL(old->lanes().endReason(), endFenced);
      old->leaves();
    }
    newer->publishes(1);
    CHECK(newer->publishing->publish(1, 2));
    old = std::move(newer);
  }
  CHECK_EQUAL(at.committed(), 100);
  Claim claims[2];
  for (Claim& claim : claims) CHECK_EQUAL(claimClient(*at.log.region(), at.identity.topic, claim).fault, "none");
}

TEST("the table of identities is full at four for each client, and a topic that is freed frees its identities") {
  Geometry geometry = namedGeometry();
  geometry.topics = 1;
  NamedLog at(geometry);
  for (uint32_t i = 1; i < 12; i += 1) declaredIdentity(at.log.region(), at.identity.topic, std::to_string(i));
  IdentityView identity{};
  const Status full = declareIdentity(*at.log.region(), at.identity.topic, "more", identity);
  CHECK_EQUAL(full.fault, "full");
  CHECK(full.detail.find("12") != std::string::npos);
  {
    Author author(at.log, at.identity);
    author.admitted().publishes(2);
    author.leaves();
  }
  TopicWish wish;
  TopicView next;
  until("the topic is freed", [&] {
    at.log.settle();
    return declareTopic(*at.log.region(), "next", orderSession, 1, next, &wish).ok();
  });
  at.log.settle();
  CHECK_EQUAL(declareIdentity(*at.log.region(), at.identity.topic, "p", identity).fault, "gone");
  const IdentityView anew = declaredIdentity(at.log.region(), next.place(), "p");
  CHECK_EQUAL(anew.generation, 2);
  Author author(at.log, anew);
  CHECK_EQUAL(author.admitted().lanes().incarnation().number, 1);
  CHECK_EQUAL(author.lanes().incarnation().base, 0);
  CHECK_EQUAL(identitiesOf(*at.log.region()).size(), 1);
}

TEST("a batch that does not count on from its session's records ends the session as corrupt") {
  NamedLog at;
  Author author(at.log, at.identity);
  author.admitted().publishes(1);
  CHECK(author.lanes().begin(1, 1) >= 0);
  CHECK(author.lanes().seal(1, {1, 7, 1, 8, 8, nullptr}));
  author.lanes().publish(1);
  at.log.settle();
  CHECK_EQUAL(author.lanes().endReason(), endCorrupt);
  CHECK_EQUAL(author.lanes().committedBatches(), 1);
}

TEST("a slot of an identity that was damaged gives its name to no other, and no session a wrong base") {
  NamedLog at;
  Author author(at.log, at.identity);
  author.admitted().publishes(3);
  IdentitySlot& slot = RawLine::of(at.log.region()->identity(at.identity.index));
  const IdentitySlot before = slot;
  slot.name[0] = 'x';
  IdentityView found{};
  CHECK_EQUAL(declareIdentity(*at.log.region(), at.identity.topic, "p", found).fault, "corrupt");
  Author newer(at.log, at.identity);  // found before the damage
  CHECK_EQUAL(newer.admitted().lanes().incarnation().base, firstMessageOf(3));
  slot = before;
  CHECK_EQUAL(declaredIdentity(at.log.region(), at.identity.topic, "p").index, at.identity.index);
}

TEST("a line of an identity that was damaged is written again, and where a successor finds neither copy whole its sessions end as corrupt") {
  NamedLog at;
  {
    Author author(at.log, at.identity);
    author.admitted().publishes(3);
    author.leaves();
  }
  const auto damage = [&](auto IdentityLine::* copy) { RawLine::of(at.line().*copy).base += 1; };
  damage(&IdentityLine::standing);
  damage(&IdentityLine::standingSpare);
  at.log.sequencer().endDead();
  at.isTakenOver([&] { damage(&IdentityLine::standing); });
  Author kept(at.log, at.identity);
  CHECK_EQUAL(kept.admitted().lanes().incarnation().base, firstMessageOf(3));
  CHECK_EQUAL(kept.lanes().incarnation().number, 2);
  // A session that has it says what the line said.
  at.isTakenOver([&] {
    damage(&IdentityLine::standing);
    damage(&IdentityLine::standingSpare);
  });
  kept.publishes(1);
  kept.leaves();
  Author again(at.log, at.identity);
  CHECK_EQUAL(again.admitted().lanes().incarnation().base, firstMessageOf(3) + 1);
  CHECK_EQUAL(again.lanes().incarnation().number, 3);
  again.leaves();
  at.isTakenOver([&] {
    damage(&IdentityLine::standing);
    damage(&IdentityLine::standingSpare);
  });
  for (int i = 0; i < 2; i += 1) {
    Author lost(at.log, at.identity);
    CHECK_EQUAL(lost.admitted().lanes().incarnation().number, 0);
    CHECK_EQUAL(lost.lanes().endReason(), endCorrupt);
    lost.leaves();
    at.isTakenOver();
  }
}

}  // namespace

}  // namespace ringfence::test
