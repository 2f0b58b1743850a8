// Sessions: how they begin, how they end, and that no data of one is ever taken for the next one's.
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "log_fixture.h"
#include "raw_line.h"
#include "region/token.h"

namespace ringfence::test {

namespace {

struct Sessions {
  explicit Sessions(Geometry geometry = tinyGeometry(), uint32_t order = orderSession)
      : log(geometry), topic(log.declare("t", order)), following(log, log.reader(topic, From::start), order) {}

  void settle() {
    log.settle();
    while (following.take(64) != 0) log.settle();
  }
  SessionReport report(uint64_t session) {
    for (const SessionReport& report : log.sequencer().sessions()) {
      if (report.sessionId == session) return report;
    }
    fail(__FILE__, __LINE__, "the session is not known");
  }

  TestLog log;
  uint32_t topic;
  Following following;
};

// A session whose process is dead: claimed and written by an attachment of its own, which is then closed.
struct Departed {
  explicit Departed(TestLog& log, uint32_t topic) {
    CHECK_EQUAL(Region::reattach(*log.region(), "departed", region).fault, "none");
    Claim claim;
    until("a session slot is free", [&] { return log.settle(), claimClient(*region, {topic, 1}, claim).ok(); });
    auto writer = std::make_unique<LaneWriter>(region, claim);
    until("the session is admitted", [&] {
      log.settle();
      for (uint32_t b = 0; b < log.geometry().brokers; b += 1) grantLanes(*log.region(), b);
      return writer->ready();
    });
    publishing = std::make_unique<Publishing>(std::move(writer));
  }
  void die() { region->close(); }

  std::shared_ptr<Region> region;
  std::unique_ptr<Publishing> publishing;
};

TEST("a session is ready when the sequencer has adopted it and every broker has granted it a lane, not before") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  const Claim claim = log.claim(topic);
  LaneWriter writer(log.region(), claim);
  CHECK(!writer.ready());
  CHECK_EQUAL(writer.begin(0, 0), -1);
  CHECK(!writer.seal(0, {0, 0, 1, 8, 8, nullptr}));
  grantLanes(*log.region(), 0);
  CHECK(!writer.ready());
  log.settle();
  CHECK(!writer.ready());
  CHECK_EQUAL(grantLanes(*log.region(), 0), 1);
  CHECK(!writer.ready());
  CHECK_EQUAL(grantLanes(*log.region(), 1), 1);
  CHECK(writer.ready());
  CHECK_EQUAL(grantLanes(*log.region(), 0), 0);
}

TEST("being ready is answered again without beginning again") {
  Sessions at;
  Publishing publishing(at.log.open(at.topic));
  CHECK(publishing.publish(0, 0));
  CHECK(publishing.lanes().ready());
  at.settle();
  CHECK(publishing.lanes().ready());
  CHECK(publishing.publish(0, 1));
  at.settle();
  CHECK_EQUAL(at.following.batchesOf(publishing.session()), 2);
}

TEST("a closed session ends once all it published is ordered") {
  Sessions at;
  Publishing publishing(at.log.open(at.topic));
  for (uint64_t sequence = 0; sequence < 8; sequence += 1) CHECK(publishing.publish(sequence % 2, sequence));
  publishing.lanes().close();
  CHECK_EQUAL(publishing.lanes().endReason(), endNone);
  at.settle();
  CHECK_EQUAL(publishing.lanes().endReason(), endClosed);
  CHECK_EQUAL(publishing.lanes().committedBatches(), 8);
  CHECK_EQUAL(at.following.batchesOf(publishing.session()), 8);
}

TEST("a session that closes over a gap ends at its committed prefix, and what was held is purged") {
  Sessions at;
  Publishing publishing(at.log.open(at.topic));
  CHECK(publishing.publish(0, 0));
  CHECK(publishing.publish(1, 2));
  CHECK(publishing.publish(0, 3));
  publishing.lanes().close();
  at.settle();
  CHECK_EQUAL(publishing.lanes().endReason(), endClosed);
  const SessionReport report = at.report(publishing.session());
  CHECK(report.ended && report.batches == 1 && report.purged == 2 && report.held == 0);
  CHECK_EQUAL(at.following.batchesOf(publishing.session()), 1);
}

TEST("a session whose process is dead ends at its committed prefix; a living one's gap waits") {
  Sessions at;
  Departed departed(at.log, at.topic);
  Publishing living(at.log.open(at.topic));
  for (const uint64_t sequence : {0, 1, 3, 4}) CHECK(departed.publishing->publish(sequence % 2, sequence));
  CHECK(living.publish(0, 1));
  at.settle();
  at.log.sequencer().endDead();
  at.settle();
  CHECK(!at.report(departed.publishing->session()).ended);
  departed.die();
  at.log.sequencer().endDead();
  at.settle();
  const SessionReport report = at.report(departed.publishing->session());
  CHECK(report.ended && report.batches == 2 && report.purged == 2);
  CHECK_EQUAL(report.endReason, endDied);
  CHECK(!at.report(living.session()).ended);
  CHECK_EQUAL(at.following.batchesOf(departed.publishing->session()), 2);
}

TEST("the final scan of a dead session takes all it had published, beyond one scan's budget") {
  Geometry g = tinyGeometry();
  g.laneSlots = 1024;
  g.lanePayloadBytes = 1 << 20;
  g.indexEntries = 4096;
  Sessions at(g);
  Departed departed(at.log, at.topic);
  uint64_t sequence = 0;
  while (departed.publishing->publish(sequence % 2, sequence)) sequence += 1;
  departed.die();
  at.log.sequencer().endDead();
  at.settle();
  const SessionReport report = at.report(departed.publishing->session());
  CHECK(report.ended);
  CHECK_EQUAL(report.batches, sequence);
  CHECK_EQUAL(at.following.batchesOf(departed.publishing->session()), sequence);
}

TEST("a dead session under `total` ends though its prefix can never be completed") {
  Sessions at(tinyGeometry(), orderTotal);
  Departed departed(at.log, at.topic);
  Publishing& publishing = *departed.publishing;
  CHECK(publishing.write(0, 0));  // written, never published
  uint64_t sequence = 1;
  for (int refused = 0; refused < 3;) {
    const bool taken = publishing.publish(1, sequence);
    sequence += taken ? 1 : 0;
    refused += taken ? 0 : 1;
    at.settle();
  }
  CHECK(sequence > 16);
  departed.die();
  at.log.sequencer().endDead();
  at.settle();
  CHECK(at.report(publishing.session()).ended);
  Publishing next(at.log.open(at.topic));
  Publishing other(at.log.open(at.topic));
  CHECK(next.publish(1, 0));
  at.settle();
  CHECK_EQUAL(next.lanes().committedBatches(), 1);
}

TEST("a session's slot is not taken again before the session has ended") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing first(log.open(topic));
  Publishing second(log.open(topic));
  Claim claim;
  CHECK_EQUAL(claimClient(*log.region(), {topic, 1}, claim).fault, "full");
  first.lanes().close();
  CHECK_EQUAL(claimClient(*log.region(), {topic, 1}, claim).fault, "full");
  log.settle();
  CHECK_EQUAL(claimClient(*log.region(), {topic, 1}, claim).fault, "none");
  CHECK_EQUAL(claim.slot, first.lanes().claim().slot);
  CHECK_EQUAL(claim.generation, first.lanes().claim().generation + 1);
}

TEST("a claim that is given up before it was adopted frees its slot at once, and is never adopted") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  const uint32_t clients = log.region()->layout().geometry.clients;
  Claim claim;
  for (uint32_t i = 0; i < 3 * clients; i += 1) {
    CHECK_EQUAL(claimClient(*log.region(), {topic, 1}, claim).fault, "none");
    CHECK(!sessionOver(*log.region(), claim.slot, claim.generation));
    LaneWriter(log.region(), claim).close();
    CHECK(sessionOver(*log.region(), claim.slot, claim.generation));
  }
  CHECK_EQUAL(sessionsEnding(*log.region()), 0U);
  log.settle();
  CHECK_EQUAL(log.sequencer().sessions().size(), size_t{0});
  for (uint32_t i = 0; i < clients; i += 1) CHECK(Publishing(log.open(topic)).publish(0, 0));
}

TEST("a slot's next owner never brings back what the last one left: no ghost") {
  Geometry g = tinyGeometry();
  g.clients = 1;
  Sessions at(g);
  Random random(6);
  uint64_t expected = 0;
  for (uint64_t owner = 0; owner < 400 / slowness; owner += 1) {
    Departed departed(at.log, at.topic);
    const uint64_t count = random.below(20);
    std::vector<bool> published(20, false);
    for (uint64_t sequence = 0; sequence < count; sequence += 1) {
      const uint32_t broker = static_cast<uint32_t>(random.below(2));
      if (!departed.publishing->write(broker, sequence)) break;
      published[sequence] = !random.oneIn(4);
      if (published[sequence]) departed.publishing->lanes().publish(broker);
      if (random.oneIn(3)) at.settle();
    }
    departed.die();
    at.log.sequencer().endDead();
    at.settle();
    const SessionReport report = at.report(departed.publishing->session());
    CHECK(report.ended);
    CHECK_EQUAL(at.following.batchesOf(departed.publishing->session()), report.batches);
    expected += report.batches;
  }
  CHECK_EQUAL(at.following.index(), expected);
  CHECK(expected > 100 / slowness);
}

TEST("descriptors that a dead owner left ready are not ready for the next one") {
  Geometry g = tinyGeometry();
  g.clients = 1;
  TestLog log(g);
  const uint32_t topic = log.declare("t", orderSession);
  Following following(log, log.reader(topic, From::start), orderSession);
  Departed departed(log, topic);
  const Claim former = departed.publishing->lanes().claim();
  // The session ends as corrupt, with more ready descriptors after the bad one.
  CHECK(departed.publishing->write(0, 0));
  RawLine::of(log.region()->descriptor(departed.publishing->lanes().laneOf(0), 0)).crc ^= 1;
  for (uint64_t sequence = 1; sequence < 6; sequence += 1) CHECK(departed.publishing->write(0, sequence));
  departed.publishing->lanes().publish(0);
  log.settle();
  CHECK_EQUAL(departed.publishing->lanes().endReason(), endCorrupt);
  departed.die();
  Publishing next(log.open(topic));
  CHECK_EQUAL(next.lanes().claim().slot, former.slot);
  log.settle();
  CHECK_EQUAL(following.take(64), 0);
  for (uint64_t sequence = 0; sequence < 30; sequence += 1) {
    CHECK(next.publish(0, sequence));
    log.settle();
    CHECK_EQUAL(following.take(64), 1);
  }
  CHECK_EQUAL(following.batchesOf(former.clientId), 0);
}

TEST("a new owner does not write over what the last one left for a reader") {
  Geometry g = tinyGeometry();
  g.clients = 1;
  TestLog log(g);
  const uint32_t topic = log.declare("t", orderSession);
  Following following(log, log.reader(topic, From::start), orderSession, 1300);
  uint64_t kept = 0;
  for (int owner = 0; owner < 6; owner += 1) {
    Publishing publishing(log.open(topic), 1300);
    for (uint64_t sequence = 0; sequence < 3 && publishing.publish(sequence % 2, sequence); sequence += 1) kept += 1;
    publishing.lanes().close();
    log.settle();
  }
  CHECK(kept >= 6 && kept < 18);
  while (following.take(64) != 0) continue;  // checks every byte
  CHECK_EQUAL(following.index(), kept);
}

TEST("what a former owner wrote into its descriptors does not tell the next one how much room there is") {
  Geometry g = tinyGeometry();
  g.clients = 1;
  TestLog log(g);
  const uint32_t topic = log.declare("t", orderSession);
  Publishing former(log.open(topic), 1300);
  for (uint64_t sequence = 0; sequence < 4; sequence += 1) CHECK(former.publish(0, sequence));
  log.settle();
  for (uint64_t i = 0; i < 8; i += 1) {
    RawLine::of(log.region()->descriptor(former.lanes().laneOf(0), i)).payloadPosition = i < 2 ? ~0ULL : 0;
  }
  former.lanes().close();
  log.settle();
  Publishing next(log.open(topic), 1300);
  for (uint64_t sequence = 0; sequence < 200; sequence += 1) {
    CHECK(next.publish(0, sequence));
    log.settle();
  }
  CHECK_EQUAL(next.lanes().committedBatches(), 200);
}

TEST("acknowledgements of a session never go back and are never another's, when its slot is taken again") {
  Geometry g = tinyGeometry();
  g.clients = 1;
  TestLog log(g);
  const uint32_t topic = log.declare("t", orderSession);
  Publishing first(log.open(topic));
  for (uint64_t sequence = 0; sequence < 5; sequence += 1) CHECK(first.publish(0, sequence));
  log.settle();
  CHECK_EQUAL(first.lanes().committedBatches(), 5);
  first.lanes().close();
  log.settle();
  Publishing second(log.open(topic));
  CHECK_EQUAL(first.lanes().committedBatches(), 5);
  for (uint64_t sequence = 0; sequence < 12; sequence += 1) {
    CHECK(second.publish(sequence % 2, sequence));
    log.settle();
  }
  CHECK_EQUAL(first.lanes().committedBatches(), 5);
  CHECK_EQUAL(first.lanes().committedMessages(), firstMessageOf(5));
  CHECK_EQUAL(first.lanes().endReason(), endClosed);
}

TEST("a writer that is closed, or whose region is, never touches the lanes again") {
  Geometry g = tinyGeometry();
  g.clients = 1;
  TestLog log(g);
  const uint32_t topic = log.declare("t", orderSession);
  Departed departed(log, topic);
  CHECK(departed.publishing->write(0, 0));
  CHECK(departed.publishing->lanes().begin(1, 1) >= 0);
  departed.die();
  log.sequencer().endDead();
  Publishing next(log.open(topic));
  const Publication& p = log.region()->publication();
  const Descriptor descriptor = p.copy(log.region()->descriptor(next.lanes().laneOf(0), 0));
  const ProducerLine producer = p.copy(log.region()->producer(next.lanes().laneOf(0)));
  departed.publishing->lanes().publish(0);
  departed.publishing->lanes().wantRoom();
  CHECK(!departed.publishing->lanes().seal(1, {1, 1, 1, 8, 8, nullptr}));
  CHECK(departed.publishing->lanes().begin(0, 2) < 0);
  departed.publishing->lanes().close();
  const Descriptor descriptorNow = p.copy(log.region()->descriptor(next.lanes().laneOf(0), 0));
  const ProducerLine producerNow = p.copy(log.region()->producer(next.lanes().laneOf(0)));
  CHECK(std::memcmp(&descriptor, &descriptorNow, sizeof(descriptor)) == 0);
  CHECK(std::memcmp(&producer, &producerNow, sizeof(producer)) == 0);
  CHECK_EQUAL(p.observe<&ClientLine::closingGeneration>(log.region()->client(0).line), 0);
}

TEST("a client that dies between its claim and its first batch gives its slot back") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  for (int round = 0; round < 6; round += 1) {
    std::shared_ptr<Region> region;
    CHECK_EQUAL(Region::reattach(*log.region(), "victim", region).fault, "none");
    Claim claim;
    CHECK_EQUAL(claimClient(*region, {topic, 1}, claim).fault, "none");
    region->close();
    if (round % 2 == 0) log.settle();  // adopted before or after the death
    log.settle();
    log.sequencer().endDead();
    log.settle();
  }
}

TEST("a claim that was begun and not finished belongs to no process") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  // As a process leaves it that dies before it publishes the generation: all other fields are written.
  ClientClaim& claim = RawLine::of(log.region()->client(0).claim);
  claim.processGeneration = 99;
  claim.process = 5;
  claim.topic = 1;
  log.settle();
  CHECK_EQUAL(log.sequencer().sessions().size(), 0);
  Publishing publishing(log.open(topic));
  CHECK_EQUAL(publishing.lanes().claim().slot, 0);
  CHECK(publishing.publish(0, 0));
  log.settle();
  CHECK_EQUAL(publishing.lanes().committedBatches(), 1);
}

TEST("a session that ends before it is looked at is told of once, though its slot is the next one's by then") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  for (uint64_t round = 0; round < 3; round += 1) {
    Publishing publishing(log.open(topic));
    CHECK_EQUAL(publishing.lanes().claim().slot, 0);
    CHECK(publishing.publish(0, 0));
    publishing.lanes().close();
    log.settle();
  }
  for (const uint64_t told : {3, 1}) {
    const std::vector<SessionReport> reports = log.sequencer().sessions();
    CHECK_EQUAL(reports.size(), told);
    for (uint64_t i = 0; i < told; i += 1) {
      CHECK_EQUAL(reports[i].generation, 4 - told + i);
      CHECK(reports[i].ended && reports[i].batches == 1 && reports[i].topic == "t");
    }
  }
}

TEST("a session of a topic that does not exist ends at once") {
  TestLog log(tinyGeometry());
  for (const uint32_t topic : {0U, 1U, 77U, ~0U}) {
    Claim claim;
    CHECK_EQUAL(claimClient(*log.region(), {topic, 1}, claim).fault, "none");
    log.settle();
    LaneWriter lanes(log.region(), claim);
    CHECK_EQUAL(lanes.endReason(), endCorrupt);
    lanes.close();
  }
}

TEST("a topic is declared once, and found again by its name") {
  TestLog log(tinyGeometry());
  CHECK_EQUAL(log.declare("a", orderSession), 0);
  CHECK_EQUAL(log.declare("b", orderTotal), 1);
  CHECK_EQUAL(log.declare("a", orderTotal), 0);
  TopicView topic;
  CHECK_EQUAL(declareTopic(*log.region(), "c", orderTotal, 1, topic).fault, "full");
  CHECK_EQUAL(declareTopic(*log.region(), "", orderTotal, 1, topic).fault, "invalid");
  CHECK_EQUAL(declareTopic(*log.region(), std::string(65, 'x'), orderTotal, 1, topic).fault, "invalid");
  CHECK_EQUAL(topicsOf(*log.region()).at(0).order, orderSession);
}

}  // namespace

}  // namespace ringfence::test
