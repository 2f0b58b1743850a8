// A log outlives its server. A server is killed or stopped before any of its stores, while it takes a log over and while it
// makes passes; its successor recovers at least what any process believed, loses nothing that was published, and orders no
// batch twice.
#include <signal.h>

#include "log_fixture.h"
#include "region/epochs.h"
#include "region/inspection.h"
#include "region/server.h"
#include "steps.h"

namespace ringfence::test {

namespace {

std::string freshPath() {
  static int made = 0;
  return scratchFolder() + "/region" + std::to_string(made++);
}

std::shared_ptr<Region> attached(const std::string& path, const char* name) {
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::attach({path, name, false}, region).fault, "none");
  return region;
}

// A region with a session and a reader, whose first server has left its log behind, and whose lanes hold more batches than
// that server has seen.
class Scene {
 public:
  // With `gap` the batches of one broker are not published, so that the session misses them.
  Scene(uint32_t order, bool gap, uint64_t seed)
      : path(freshPath()), log_(namedRegion(path), TestLog::manual()), random_(seed) {
    topic_ = log_.declare("t", order);
    publishing_ = std::make_unique<Publishing>(log_.open(topic_));
    following_ = std::make_unique<Following>(log_, log_.reader(topic_, From::start), order);
    for (int i = 0; i < 12; i += 1) publish(gap && i > 4);
    log_.settle();
    following_->take(static_cast<uint32_t>(random_.below(8)));
    following_->giveBack();
    log_.settle();
    log_.sequencer().stop(true);
    CHECK_EQUAL(serverState(*region()), serverDied);
    while (publish(gap)) continue;
  }

  const std::shared_ptr<Region>& region() const { return log_.region(); }
  LaneWriter& lanes() { return publishing_->lanes(); }
  Following& following() { return *following_; }
  uint64_t written() const { return sequence_; }

  // Publishes the next batch, except where it would close the gap. False where its lane is full.
  bool publish(bool gap) {
    const uint32_t broker = sequence_ % 2;
    if (!publishing_->write(broker, sequence_)) return false;
    if (!gap || broker == 0) lanes().publish(broker);
    sequence_ += 1;
    return true;
  }

  // What the session's client and the reader believe now.
  void believe() {
    CHECK(lanes().committedBatches() >= acknowledged_);
    acknowledged_ = lanes().committedBatches();
    while (following_->take(8, true) != 0) continue;
  }

  // With a server: everything that was published is ordered once, and acknowledged, and more goes on.
  void goesOn(Sequencer& server) {
    const Region& at = *region();
    const uint64_t enough = sequence_ + 40;
    lanes().publish(0);
    lanes().publish(1);
    until("the log goes on", [&] {
      while (server.step()) continue;
      believe();
      following_->giveBack();
      if (sequence_ < enough) publish(false);
      return lanes().committedBatches() == enough;
    });
    CHECK_EQUAL(following_->batchesOf(publishing_->session()), enough);
    CHECK_EQUAL(following_->index(), enough);
    CHECK_EQUAL(lanes().committedMessages(), firstMessageOf(enough));
    CHECK_EQUAL(lanes().endReason(), endNone);
    CHECK_EQUAL(at.publication().observe<&SessionLine::Pressure::duplicates>(at.sessionLine(at.servedEpoch(), lanes().claim().slot).pressure), 0);
  }

  const std::string path;

 private:
  TestLog log_;
  Random random_;
  uint32_t topic_ = 0;
  uint64_t sequence_ = 0;
  uint64_t acknowledged_ = 0;
  std::unique_ptr<Publishing> publishing_;
  std::unique_ptr<Following> following_;
};

// Takes the log over, makes passes, and gives room back.
bool serve(const std::shared_ptr<Region>& region) {
  static Sequencer* server = nullptr;
  server = new Sequencer(region, TestLog::manual());
  if (!server->start().ok()) return false;
  for (int i = 0; i < 6; i += 1) {
    server->step();
    server->endDead();
    for (uint32_t b = 0; b < region->layout().geometry.brokers; b += 1) grantLanes(*region, b);
  }
  return true;
}

struct Case {
  uint32_t order;
  bool gap;
};
constexpr Case cases[] = {{orderSession, false}, {orderSession, true}, {orderTotal, false}, {orderTotal, true}};

// For many stores of a server's work, from the first one on: the victim gets the signal ahead of it.
template <class Look>
void atManySteps(int signal, uint64_t stride, Look look) {
  for (const Case& each : cases) {
    uint64_t step = 0;
    for (bool met = true; met; step += 1 + mix64(step) % stride) {
      Scene scene(each.order, each.gap, step);
      Victim victim(scene.path, step, signal, &serve);
      met = victim.met();
      look(scene, victim);
    }
    CHECK(step > 300);
  }
}

TEST_OF_ONE_THREAD("a server is killed before any store of its takeover and its passes: the next one loses nothing and doubles nothing") {
  atManySteps(SIGKILL, 7 * slowness * slowness, [](Scene& scene, Victim& victim) {
    scene.believe();
    victim.kill();
    CHECK_EQUAL(serverState(*scene.region()), serverDied);
    CHECK(inspect(scene.path).recoverable);
    const auto next = attached(scene.path, "next");
    scene.believe();
    Sequencer server(next, TestLog::manual());
    CHECK_EQUAL(server.start().fault, "none");
    scene.goesOn(server);
  });
}

TEST_OF_ONE_THREAD("a server is stopped before any store, is taken for stuck, and goes on: it is deposed, and harms nothing") {
  atManySteps(SIGSTOP, 11 * slowness * slowness, [](Scene& scene, Victim& victim) {
    if (!victim.met()) return;
    scene.believe();
    const auto next = attached(scene.path, "next");
    Sequencer server(next, TestLog::manual());
    const ServerView former = serverOf(*next);
    if (former.alive) {
      CHECK_EQUAL(Sequencer(next, TestLog::manual()).start().fault, "busy");
      CHECK_EQUAL(former.pid.pid, static_cast<uint32_t>(victim.pid()));
    }
    Status status = server.start(former.epoch);
    CHECK_EQUAL(status.fault, "none");
    scene.believe();
    for (int i = 0; i < 3; i += 1) server.step();
    scene.believe();
    victim.goOn();
    scene.goesOn(server);
    CHECK_EQUAL(serverState(*scene.region()), serverServing);
  });
}

TEST("a server that has ended its log leaves nothing to continue, and one that keeps it does") {
  const std::string path = freshPath();
  const auto region = namedRegion(path);
  {
    Sequencer server(region, TestLog::manual());
    CHECK_EQUAL(server.start().fault, "none");
    CHECK_EQUAL(serverOf(*region).epoch, 1);
    server.stop(true);
  }
  CHECK_EQUAL(serverState(*region), serverDied);
  CHECK(serverOf(*region).recoverable);
  {
    Sequencer server(region, TestLog::manual());
    CHECK_EQUAL(server.start().fault, "none");
    CHECK_EQUAL(server.recovery().epoch, 1);
    CHECK_EQUAL(server.recovery().pid.pid, static_cast<uint32_t>(getpid()));
    CHECK_EQUAL(serverOf(*region).epoch, 2);
  }
  CHECK_EQUAL(serverState(*region), serverStopped);
  CHECK(!serverOf(*region).recoverable);
  Sequencer late(region, TestLog::manual());
  CHECK_EQUAL(late.start().fault, "ended");
}

TEST("the last holder of a log that can be continued leaves its name, and it is removed only when it is discarded") {
  const std::string path = freshPath();
  {
    const auto region = namedRegion(path);
    Sequencer server(region, TestLog::manual());
    CHECK_EQUAL(server.start().fault, "none");
    server.stop(true);
    const auto standby = attached(path, "standby");
    CHECK_EQUAL(standby->hold().fault, "none");
    region->close();
    standby->close();
  }
  CHECK(inspect(path).recoverable);
  CHECK_EQUAL(removeDead(path).fault, "recoverable");
  CHECK_EQUAL(removeDead(path, true).fault, "none");
  CHECK(!inspect(path).region);
}

TEST("while the server lives a candidate is refused, and a deposed server is told by whom") {
  const auto region = anonymousRegion(tinyGeometry());
  std::shared_ptr<Region> other;
  CHECK_EQUAL(Region::reattach(*region, "other", other).fault, "none");
  Sequencer first(region, TestLog::threaded());
  CHECK_EQUAL(first.start().fault, "none");
  CHECK_EQUAL(Sequencer(other, TestLog::manual()).start().fault, "busy");
  const uint64_t pulse = serverOf(*other).pulse;
  until("its pulse counts while it idles", [&] { return serverOf(*other).pulse > pulse + 3; });
  Sequencer second(other, TestLog::manual());
  CHECK_EQUAL(second.start(1).fault, "none");
  until("the first is deposed", [&] { return first.counters().deposed; });
  CHECK_EQUAL(first.deposedBy(), 2);
  CHECK(!first.step());
  CHECK(region->blockHeld(1));
  first.endDead();
  CHECK(!region->blockHeld(1));
  CHECK_EQUAL(serverState(*region), serverServing);
}

TEST("a candidate that lost the election has failed, so that its process may try again") {
  const auto region = anonymousRegion(tinyGeometry());
  std::shared_ptr<Region> other;
  CHECK_EQUAL(Region::reattach(*region, "other", other).fault, "none");
  CHECK(other->tryLockElection());
  Sequencer loser(region, TestLog::manual());
  CHECK_EQUAL(loser.start().fault, "busy");
  CHECK(loser.failed());
  other->unlockElection();
  CHECK_EQUAL(Sequencer(region, TestLog::manual()).start().fault, "none");
}

TEST("where no block is free a candidate is told who holds them") {
  Geometry geometry = tinyGeometry();
  geometry.epochBlocks = 2;
  const auto region = anonymousRegion(geometry);
  std::shared_ptr<Region> others[2];
  for (auto& each : others) CHECK_EQUAL(Region::reattach(*region, "other", each).fault, "none");
  Sequencer first(region, TestLog::manual());
  CHECK_EQUAL(first.start().fault, "none");
  Sequencer second(others[0], TestLog::manual());
  CHECK_EQUAL(second.start(1).fault, "none");
  Sequencer third(others[1], TestLog::manual());
  const Status status = third.start(2);
  CHECK_EQUAL(status.fault, "blocked");
  CHECK(status.detail.find("pid " + std::to_string(getpid())) != std::string::npos);
  CHECK(!first.step());
  first.endDead();
  Sequencer fourth(others[1], TestLog::manual());
  CHECK_EQUAL(fourth.start(2).fault, "none");
}

}  // namespace

}  // namespace ringfence::test
