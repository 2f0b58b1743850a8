// Leases: a session whose gap lasts longer than the lease is ended at its committed prefix. Nothing but such a gap ends a
// session, and what was not committed lies in its lanes until its client has closed it.
#include <signal.h>
#include <time.h>

#include "actor_process.h"
#include "log/lane_reader.h"
#include "named_fixture.h"

namespace ringfence::test {

namespace {

constexpr uint64_t leaseMillis = 40;

SequencerOptions leased(bool threaded, uint64_t millis = leaseMillis) {
  SequencerOptions options = threaded ? TestLog::threaded() : TestLog::manual();
  options.leaseMillis = millis;
  return options;
}

void sleepMillis(uint64_t millis) {
  const timespec moment{0, static_cast<long>(millis * 1'000'000)};
  nanosleep(&moment, nullptr);
}

// Passes for so many leases, each a twentieth of one behind the one before.
void passes(TestLog& log, uint64_t leases) {
  for (uint64_t i = 0; i < 20 * leases; i += 1) {
    sleepMillis(leaseMillis / 20);
    log.settle();
  }
}

// Publishes batches of both brokers; those of the first one from `from` on stay unpublished.
void publishBut(Publishing& publishing, uint64_t from, uint64_t end) {
  for (uint64_t i = 0; i < end; i += 1) {
    CHECK(publishing.write(i % 2, i));
    if (i % 2 == 1 || i < from) publishing.lanes().publish(i % 2);
  }
}

void expectCopies(Publishing& publishing, uint64_t from, uint64_t end) {
  const std::vector<UncommittedBatch> copies = publishing.lanes().uncommitted();
  CHECK_EQUAL(copies.size(), end - from);
  for (uint64_t i = from; i < end; i += 1) {
    const UncommittedBatch& copy = copies[i - from];
    const BatchContents contents = contentsOf(publishing.session(), i, 64);
    CHECK_EQUAL(copy.sequence, i);
    CHECK_EQUAL(copy.firstMessage, firstMessageOf(i));
    CHECK_EQUAL(copy.messages, contents.messages);
    CHECK_EQUAL(copy.uniformBytes, contents.uniformBytes);
    CHECK(copy.payload == contents.bytes);
    CHECK(copy.uniformBytes != 0 || copy.lengths == contents.lengths);
  }
}

TEST("a gap of one to eight missing batches ends the session at the lease, and every batch behind the prefix lies in its lanes") {
  for (uint64_t missing = 1; missing <= 8; missing += 1) {
    TestLog log(tinyGeometry(), leased(false));
    Publishing publishing(log.open(log.declare("t", orderSession)));
    const uint64_t end = 2 * missing;
    publishBut(publishing, 0, end);
    passes(log, 2);
    CHECK_EQUAL(publishing.lanes().endReason(), endOutlived);
    CHECK_EQUAL(publishing.lanes().committedBatches(), 0);
    expectCopies(publishing, 0, end);
  }
}

TEST("a gap that closes within the lease ends no session, and each gap has a lease of its own") {
  TestLog log(tinyGeometry(), leased(false));
  Publishing publishing(log.open(log.declare("t", orderSession)));
  for (uint64_t i = 1; i < 8; i += 2) CHECK(publishing.publish(1, i));
  for (uint64_t i = 0; i < 8; i += 2) {  // each closes one gap, and leaves the next
    for (int part = 0; part < 6; part += 1) {  // counts at most three quarters of a lease, however slow the machine is
      sleepMillis(leaseMillis / 20);
      log.settle();
    }
    CHECK(publishing.publish(0, i));
    log.settle();
  }
  CHECK_EQUAL(publishing.lanes().endReason(), endNone);
  CHECK_EQUAL(publishing.lanes().committedBatches(), 8);
}

TEST("idleness, a batch that was begun alone, and lanes or an index without room end no session") {
  Geometry geometry = tinyGeometry();
  TestLog log(geometry, leased(false));
  const uint32_t topic = log.declare("t", orderSession);
  const auto reader = log.reader(topic, From::start);  // holds everything
  Publishing idle(log.open(topic));
  CHECK(idle.write(0, 0));
  Publishing full(log.open(topic));
  uint64_t written = 0;
  while (full.publish(written % 2, written)) written += 1;
  passes(log, 3);
  CHECK_EQUAL(idle.lanes().endReason(), endNone);
  CHECK_EQUAL(full.lanes().endReason(), endNone);
}

// The index has no room for the batch that others wait for: it lies in its lane, unscanned.
TEST("a batch that is missing only because the index has no room for it ends no session") {
  Geometry geometry = tinyGeometry();
  geometry.laneSlots = 64;
  geometry.lanePayloadBytes = 64 * geometry.batchBytes;
  TestLog log(geometry, leased(false));
  const uint32_t topic = log.declare("t", orderSession);
  auto reader = log.reader(topic, From::start);
  Publishing publishing(log.open(topic));
  CHECK(publishing.publish(1, 1));
  log.settle();
  Publishing other(log.open(topic));
  for (uint64_t i = 0; i < 64; i += 1) CHECK(other.publish(i % 2, i));
  log.settle();
  CHECK_EQUAL(other.lanes().committedBatches(), 64);
  CHECK(publishing.publish(0, 0));
  passes(log, 3);
  CHECK_EQUAL(publishing.lanes().endReason(), endNone);
  BatchView views[64];
  CHECK(reader->poll(views, 64) > 0);
  reader->release(reader->next());
  log.settle();
  CHECK_EQUAL(publishing.lanes().committedBatches(), 2);
}

TEST("the time in which the sequencer was paused or stopped counts one step") {
  TestLog log(tinyGeometry(), leased(false));
  Publishing publishing(log.open(log.declare("t", orderSession)));
  publishBut(publishing, 0, 4);
  log.settle();
  for (int i = 0; i < 6; i += 1) {
    sleepMillis(leaseMillis);
    log.settle();
  }
  CHECK_EQUAL(publishing.lanes().endReason(), endNone);
  log.restart(leased(false));
  log.settle();
  for (int i = 0; i < 6; i += 1) {
    sleepMillis(leaseMillis);
    log.settle();
  }
  CHECK_EQUAL(publishing.lanes().endReason(), endNone);
  publishing.lanes().publish(0);
  log.settle();
  CHECK_EQUAL(publishing.lanes().committedBatches(), 4);
}

TEST("without a lease, and under order total, a gap ends no session") {
  for (const uint32_t order : {orderSession, orderTotal}) {
    TestLog log(tinyGeometry(), leased(false, order == orderSession ? 0 : leaseMillis));
    Publishing publishing(log.open(log.declare("t", order)));
    publishBut(publishing, 0, 4);
    passes(log, 3);
    CHECK_EQUAL(publishing.lanes().endReason(), endNone);
  }
}

TEST("a session that outlives its lease, or is fenced, ends no other") {
  TestLog log(namedGeometry(), leased(false));
  const uint32_t topic = log.declare("t", orderSession);
  const IdentityView identity = declaredIdentity(log.region(), log.placeOf(topic), "p");
  Publishing bystander(log.open(topic));
  Author author(log, identity);
  publishBut(*author.admitted().publishing, 0, 4);
  uint64_t next = 0;
  for (int i = 0; i < 60; i += 1) {
    if (bystander.publish(next % 2, next)) next += 1;
    passes(log, 1);
    if (author.lanes().endReason() != endNone) break;
  }
  CHECK_EQUAL(author.lanes().endReason(), endOutlived);
  Author one(log, identity);
  one.admitted();
  author.leaves();
  Author other(log, identity);
  other.admitted();
  CHECK_EQUAL(one.lanes().endReason(), endFenced);
  CHECK_EQUAL(bystander.lanes().endReason(), endNone);
  CHECK_EQUAL(bystander.lanes().committedBatches(), next);
}

TEST("an idle sequencer wakes for a gap, and ends its session at the lease without any other event") {
  TestLog log(tinyGeometry(), leased(true));
  Publishing publishing(log.open(log.declare("t", orderSession)));
  publishBut(publishing, 0, 4);
  const uint64_t since = nowNanos();
  until("the session has ended", [&] { return publishing.lanes().endReason() != endNone; });
  const uint64_t millis = (nowNanos() - since) / 1'000'000;
  CHECK_EQUAL(publishing.lanes().endReason(), endOutlived);
  CHECK(millis >= leaseMillis - 1);
  expectCopies(publishing, 0, 4);
}

TEST("no release that an end explains is believed: all that is not committed lies in the lanes until the close") {
  TestLog log(tinyGeometry(), leased(false));
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  CHECK(publishing.publish(1, 0));
  log.settle();
  for (uint64_t i = 1; i < 5; i += 1) CHECK(publishing.write(1, i));
  for (uint64_t i = 5; i < 9; i += 1) CHECK(publishing.publish(0, i));
  passes(log, 2);
  const uint64_t before = publishing.lanes().inFlight(0);
  CHECK_EQUAL(before, 4);
  for (int i = 0; i < 3; i += 1) log.settle();
  CHECK_EQUAL(publishing.lanes().inFlight(0), before);
  CHECK_EQUAL(publishing.lanes().begin(0, 9), -1);
  CHECK_EQUAL(publishing.lanes().endReason(), endOutlived);
  expectCopies(publishing, 1, 9);
  publishing.lanes().close();
  CHECK(publishing.lanes().uncommitted().empty());
}

TEST("a hundred sessions in a row outlive their leases and go on: each record commits once, and no slot is lost") {
  SequencerOptions options = leased(false, 1);
  NamedLog at(namedGeometry(), options);
  const auto reader = at.log.reader(at.topic, From::start);
  uint64_t records = 0;
  uint64_t incarnation = 0;
  for (int i = 0; i < 100; i += 1) {
    Author author(at.log, at.identity, incarnation);
    incarnation += 1;
    CHECK_EQUAL(author.admitted().lanes().incarnation().number, incarnation);
    CHECK_EQUAL(author.lanes().incarnation().base, records);
    CHECK(author.publishing->publish(0, 0));
    CHECK(author.publishing->write(0, 1));
    CHECK(author.publishing->publish(1, 2));
    until("the session has ended", [&] { return at.log.settle(), author.lanes().endReason() != endNone; });
    CHECK_EQUAL(author.lanes().endReason(), endOutlived);
    expectCopies(*author.publishing, 1, 3);
    author.leaves();
    records += 1;
    BatchView views[64];
    CHECK(reader->poll(views, 64) >= 0);
    reader->release(reader->next());
  }
  CHECK_EQUAL(at.committed(), records);
  CHECK_EQUAL(reader->committed(), 100);
}

// Publishes half of its batches, is stopped, and goes on anew once it runs again.
ACTOR("publisher stopped over its lease") {
  const auto region = attachAs("sleeper", arguments[0]);
  const IdentityView identity = declaredIdentity(region, {0, 1}, "p");
  uint64_t continues = 0;
  uint64_t committed = 0;
  for (int life = 0; life < 2; life += 1) {
    Claim claim;
    const IdentityClaim wanted{identity.index, identity.generation, continues};
    until("a session slot is free", [&] { return claimClient(*region, {0, 1}, claim, wanted).ok(); });
    auto writer = std::make_unique<LaneWriter>(region, claim);
    until("the session is admitted", [&] { return writer->ready(); });
    Publishing publishing(std::move(writer));
    LaneWriter& lanes = publishing.lanes();
    if (lanes.incarnation().base != committed) return 2;
    publishBut(publishing, life == 0 ? 2 : 6, 6);
    if (life == 0) {
      until("the first batches are acknowledged", [&] { return lanes.committedBatches() == 2; });
      raise(SIGSTOP);
      lanes.publish(0);
      if (lanes.endReason() != endOutlived || publishing.publish(0, 6)) return 3;
      expectCopies(publishing, 2, 6);
    } else {
      until("all is acknowledged", [&] { return lanes.committedBatches() == 6; });
    }
    committed += lanes.committedMessages();
    continues = lanes.incarnation().number;
    lanes.close();
  }
  return 0;
}

TEST("a process that was stopped over its lease finds its batches in its lanes, and goes on anew") {
  const std::string path = scratchFolder() + "/region";
  TestLog log(namedRegion(path), leased(true));
  const uint32_t topic = log.declare("t", orderSession);
  const auto reader = log.reader(topic, From::start);
  Process publisher("publisher stopped over its lease", path, 1);
  bool stopped = false;
  const auto grant = [&] {
    for (uint32_t b = 0; b < log.geometry().brokers; b += 1) grantLanes(*log.region(), b);
  };
  until("it has stopped", [&] { return grant(), stopped = publisher.hasStopped(); });
  until("its session has ended", [&] { return log.sequencer().sessions().at(0).ended; });
  publisher.signal(SIGCONT);
  until("it has gone on", [&] { return grant(), reader->committed() == 8; });
  CHECK_EQUAL(publisher.ended(), 0);
}

}  // namespace

}  // namespace ringfence::test
