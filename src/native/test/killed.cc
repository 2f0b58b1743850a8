// Processes that are killed in mid-stream: committed records stay whole, their lanes and gates are freed, and the next
// owner of their memory brings none of their data back.
#include "actor_process.h"
#include "log_fixture.h"
#include "region/waiter.h"

namespace ringfence::test {

namespace {

Geometry killedGeometry() {
  Geometry g = tinyGeometry();
  g.brokers = 4;
  g.laneSlots = 16;
  g.readers = 8;
  return g;
}

void claimPatiently(const std::shared_ptr<Region>& region, Claim& claim) {
  until("a session slot is free", [&] { return claimClient(*region, {0, 1}, claim).ok(); });
}

// Writes on random brokers and publishes on random ones, so that at each moment some batch is written but not
// published.
ACTOR("writer") {
  const auto region = attachAs("writer", arguments[0]);
  Random random(std::stoull(arguments[1]));
  Claim claim;
  claimPatiently(region, claim);
  auto lanes = std::make_unique<LaneWriter>(region, claim);
  until("the session is admitted", [&] { return lanes->ready(); });
  Publishing publishing(std::move(lanes), 300);
  for (uint64_t sequence = 0; serverState(*region) == serverServing;) {
    const uint32_t broker = static_cast<uint32_t>(random.below(4));
    if (publishing.write(broker, sequence)) {
      sequence += 1;
    } else {
      pauseBriefly();
    }
    if (random.oneIn(2)) publishing.lanes().publish(static_cast<uint32_t>(random.below(4)));
  }
  return 0;
}

// Reads and releases now and then, and holds the rest until it is killed.
ACTOR("reader") {
  const auto region = attachAs("reader", arguments[0]);
  Random random(std::stoull(arguments[1]));
  Claim claim;
  until("a reader's slot is free", [&] { return claimReader(*region, {0, 1}, "victim", claim).ok(); });
  IndexReader reader(region, 0, claim);
  if (!reader.attach(From::start, 0).ok()) return 2;
  BatchView views[8];
  while (serverState(*region) == serverServing) {
    const int32_t count = reader.poll(views, 8);
    if (count < 0) return 3;
    if (random.oneIn(4)) reader.release(reader.next());
    if (count == 0) pauseBriefly();
  }
  return 0;
}

// The server's side, in this process: the sequencer's thread, the brokers, and one reader that checks everything.
class Server {
 public:
  Server() : log_(makeRegion(path()), TestLog::threaded()) {
    CHECK_EQUAL(log_.declare("t", orderSession), 0);
    until("the topic is known", [&] { return RawLine::of(log_.region()->topic(0)).generation == 1; });
    following_ = std::make_unique<Following>(log_, log_.reader(0, From::start), orderSession, 300);
  }

  static std::string path() { return scratchFolder() + "/region"; }
  TestLog& log() { return log_; }
  Following& following() { return *following_; }

  void turn() {
    for (uint32_t b = 0; b < log_.geometry().brokers; b += 1) grantLanes(*log_.region(), b);
    while (following_->take(64) != 0) continue;
  }
  void turnFor(uint64_t nanos) {
    const uint64_t started = nowNanos();
    while (nowNanos() - started < nanos) turn();
  }
  std::vector<SessionReport> living() {
    std::vector<SessionReport> found;
    for (const SessionReport& report : log_.sequencer().sessions()) {
      if (!report.ended) found.push_back(report);
    }
    return found;
  }
  SessionReport of(uint64_t session) {
    for (const SessionReport& report : log_.sequencer().sessions()) {
      if (report.sessionId == session) return report;
    }
    fail(__FILE__, __LINE__, "the session is not known");
  }

 private:
  static std::shared_ptr<Region> makeRegion(const std::string& path) {
    CreateOptions options;
    options.path = path;
    options.geometry = killedGeometry();
    options.processName = "server";
    std::shared_ptr<Region> region;
    CHECK_EQUAL(Region::create(options, nullptr, region).fault, "none");
    return region;
  }

  TestLog log_;
  std::unique_ptr<Following> following_;
};

// The living session that is not the survivor's, once it writes.
SessionReport awaitVictim(Server& server, uint64_t survivor) {
  SessionReport victim{};
  until("the victim writes", [&] {
    server.turn();
    for (const SessionReport& report : server.living()) {
      if (report.sessionId != survivor && report.batches != 0) victim = report;
    }
    return victim.sessionId != 0;
  });
  return victim;
}

TEST("a writer is killed in mid-stream fifty times: its prefix is whole, its lanes come free, and there is no ghost") {
  Server server;
  Random random(30);
  Process survivor("writer", server.path(), 1000);
  const uint64_t survivorId = awaitVictim(server, 0).sessionId;
  uint64_t committedByVictims = 0;
  uint64_t purged = 0;
  uint32_t slot = ~0U;
  for (uint64_t round = 0; round < 50; round += 1) {
    const uint64_t survivorBefore = server.of(survivorId).batches;
    Process writer("writer", server.path(), 2000 + round);
    const SessionReport victim = awaitVictim(server, survivorId);
    CHECK(slot == ~0U || slot == victim.client);  // the same lanes, each time
    slot = victim.client;
    server.turnFor(random.below(8'000'000));
    CHECK(writer.running());
    writer.kill();
    const uint64_t killed = nowNanos();
    until("its session has ended", [&] {
      server.log().sequencer().endDead();
      server.turn();
      return server.of(victim.sessionId).ended;
    });
    CHECK(nowNanos() - killed < 1'000'000'000 * slowness);
    const SessionReport end = server.of(victim.sessionId);
    server.turn();
    CHECK_EQUAL(end.endReason, endDied);
    CHECK_EQUAL(server.following().batchesOf(victim.sessionId), end.batches);
    CHECK_EQUAL(end.messages, firstMessageOf(end.batches));
    committedByVictims += end.batches;
    purged += end.purged;
    until("the survivor goes on", [&] { return server.turn(), server.of(survivorId).batches > survivorBefore; });
  }
  CHECK(survivor.running());
  survivor.kill();
  until("the survivor's session has ended", [&] {
    server.log().sequencer().endDead();
    server.turn();
    return server.of(survivorId).ended;
  });
  server.turn();
  // The order consists of the sessions' committed prefixes, and nothing else.
  CHECK_EQUAL(server.following().index(), committedByVictims + server.of(survivorId).batches);
  CHECK(purged > 0);
}

TEST("a reader is killed in mid-stream fifty times: its gate comes free, and publishers go on") {
  Server server;
  Random random(31);
  Process survivor("writer", server.path(), 3000);
  const uint64_t session = awaitVictim(server, 0).sessionId;
  for (uint64_t round = 0; round < 50; round += 1) {
    Process reader("reader", server.path(), 4000 + round);
    const ReaderSlot& slot = server.log().region()->reader(0, 1);
    const Publication& p = server.log().region()->publication();
    until("it is attached", [&] { return server.turn(), p.observe<&ReaderLine::attachedGeneration>(slot.line) == round + 1; });
    server.turnFor(random.below(8'000'000));
    CHECK(reader.running());
    reader.kill();
    const uint64_t killed = nowNanos();
    std::vector<DeadReader> ended;
    until("it is seen to be dead", [&] { return ended = server.log().sequencer().endDead(), !ended.empty(); });
    CHECK(ended.size() == 1 && ended[0].reader == 1 && ended[0].name == "victim");
    const uint64_t before = server.of(session).batches;
    until("more than a lap goes through", [&] {
      server.turn();
      return server.of(session).batches > before + 200;
    });
    CHECK(nowNanos() - killed < 1'000'000'000 * slowness);
    const auto gates = server.log().sequencer().gates();  // once: the sequencer's thread goes on meanwhile
    CHECK(gates.empty() || gates[0].reader == 0);
  }
}

TEST("a stopped reader gates and is named; killed, it lets go") {
  Server server;
  Process survivor("writer", server.path(), 5000);
  const uint64_t session = awaitVictim(server, 0).sessionId;
  std::shared_ptr<Region> stopped;
  CHECK_EQUAL(Region::attach({server.path(), "stopped", false}, stopped).fault, "none");
  Claim claim;
  CHECK_EQUAL(claimReader(*stopped, {0, 1}, "stopped", claim).fault, "none");
  IndexReader reader(stopped, 0, claim);
  CHECK_EQUAL(reader.attach(From::end, 0).fault, "none");
  until("it holds the publisher up", [&] {
    server.turn();
    const auto gates = server.log().sequencer().gates();
    return !gates.empty() && gates[0].name == "stopped" && nowNanos() - gates[0].sinceNanos > 50'000'000;
  });
  CHECK(server.log().sequencer().endDead().empty());
  const uint64_t before = server.of(session).batches;
  server.turnFor(100'000'000);
  CHECK(server.of(session).batches <= before + 64);
  stopped->close();
  CHECK_EQUAL(server.log().sequencer().endDead().size(), 1);
  until("the publisher goes on", [&] { return server.turn(), server.of(session).batches > before + 200; });
}

}  // namespace

}  // namespace ringfence::test
