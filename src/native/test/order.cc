// The order: when a batch may be committed, and that one session's trouble does not affect another.
#include <algorithm>

#include "log_fixture.h"
#include "region/token.h"

namespace ringfence::test {

namespace {

// A log with one topic of each order, read from the start.
struct Ordered {
  explicit Ordered(uint32_t order, Geometry geometry = tinyGeometry())
      : log(geometry), topic(log.declare("t", order)), following(log, log.reader(topic, From::start), order) {}

  void settle() {
    log.settle();
    while (following.take(64) != 0) log.settle();
  }

  TestLog log;
  uint32_t topic;
  Following following;
};

TEST("a batch that is ahead of its session is held in its lane, and nothing of it is committed") {
  Ordered at(orderSession);
  Publishing publishing(at.log.open(at.topic));
  CHECK(publishing.publish(1, 2));
  CHECK(publishing.publish(0, 1));
  at.settle();
  CHECK_EQUAL(at.following.index(), 0);
  CHECK_EQUAL(publishing.lanes().committedBatches(), 0);
  CHECK_EQUAL(publishing.lanes().held(), 2);
  CHECK_EQUAL(publishing.lanes().inFlight(0), 1);
  CHECK(at.log.sequencer().sessions().front().gapSinceNanos != 0);
  CHECK(publishing.publish(1, 0));
  at.settle();
  CHECK_EQUAL(at.following.index(), 3);
  CHECK_EQUAL(publishing.lanes().committedBatches(), 3);
  CHECK_EQUAL(publishing.lanes().held(), 0);
  CHECK_EQUAL(at.log.sequencer().sessions().front().gapSinceNanos, 0);
}

TEST("under `total` a batch is committed as it comes, and only the prefix is acknowledged") {
  Ordered at(orderTotal);
  Publishing publishing(at.log.open(at.topic));
  CHECK(publishing.publish(1, 2));
  CHECK(publishing.publish(0, 1));
  at.settle();
  CHECK_EQUAL(at.following.index(), 2);
  CHECK_EQUAL(publishing.lanes().committedBatches(), 0);
  CHECK(publishing.publish(1, 0));
  at.settle();
  CHECK_EQUAL(at.following.index(), 3);
  CHECK_EQUAL(publishing.lanes().committedBatches(), 3);
}

TEST("batches published in any order over the brokers are committed in the session's order, once") {
  for (uint64_t round = 0; round < 300 / slowness; round += 1) {
    Random random(200 + round);
    Geometry g = tinyGeometry();
    g.brokers = 4;
    Ordered at(orderSession, g);
    Publishing publishing(at.log.open(at.topic));
    uint64_t written = 0;
    std::vector<uint32_t> unpublished;
    while (written < 200 || !unpublished.empty()) {
      const uint32_t broker = static_cast<uint32_t>(random.below(4));
      if (written < 200 && random.oneIn(2)) {
        if (publishing.write(broker, written)) {
          written += 1;
          unpublished.push_back(broker);
        }
      } else if (!unpublished.empty()) {
        const uint32_t which = unpublished[random.below(unpublished.size())];
        publishing.lanes().publish(which);
        unpublished.erase(std::remove(unpublished.begin(), unpublished.end(), which), unpublished.end());
      }
      if (random.oneIn(3)) at.settle();
    }
    at.settle();
    CHECK_EQUAL(at.following.batchesOf(publishing.session()), 200);
    CHECK_EQUAL(publishing.lanes().committedBatches(), 200);
  }
}

TEST("a duplicate is dropped and counted, whether its first copy is held, ordered or trimmed") {
  for (const uint32_t order : {orderSession, orderTotal}) {
    Ordered at(order);
    Publishing publishing(at.log.open(at.topic));
    CHECK(publishing.publish(0, 1));
    CHECK(publishing.publish(1, 1));  // held
    CHECK(publishing.publish(0, 0));
    at.settle();
    CHECK(publishing.publish(1, 0));  // ordered
    CHECK(publishing.publish(0, 1));
    at.settle();
    for (uint64_t sequence = 2; sequence < 60; sequence += 1) {
      CHECK(publishing.publish(sequence % 2, sequence));
      at.settle();
    }
    CHECK(publishing.publish(1, 1));  // trimmed
    at.settle();
    CHECK_EQUAL(at.following.batchesOf(publishing.session()), 60);
    CHECK_EQUAL(publishing.lanes().frontiers(0).duplicates, 1);
    CHECK_EQUAL(publishing.lanes().frontiers(1).duplicates, 3);
    CHECK_EQUAL(at.log.sequencer().counters().duplicates, 4);
    CHECK(publishing.lanes().inFlight(1) <= 8);
  }
}

TEST("a late head of line finds room though every lane is full of batches that wait for it") {
  for (const uint32_t messageBytesMax : {64U, 1300U}) {
    for (uint32_t late = 0; late < 2; late += 1) {
      TestLog log(tinyGeometry());
      const uint32_t topic = log.declare("t", orderSession);
      Publishing publishing(log.open(topic), messageBytesMax);
      Following following(log, log.reader(topic, From::start), orderSession, messageBytesMax);
      uint64_t next = 1;
      for (uint32_t refused = 0; refused < 2;) {
        const uint32_t broker = next % 2;
        const bool taken = publishing.publish(broker, next) || publishing.publish(1 - broker, next);
        refused += taken ? 0 : 1;
        next += taken ? 1 : 0;
        log.settle();
      }
      CHECK_EQUAL(following.take(64), 0);
      CHECK(publishing.publish(late, 0));
      log.settle();
      while (following.take(64) != 0) log.settle();
      CHECK_EQUAL(following.batchesOf(publishing.session()), next);
    }
  }
}

TEST("the reserve is for the expected batch alone") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  for (uint64_t sequence = 1; sequence < 8; sequence += 1) CHECK(publishing.publish(0, sequence));
  log.settle();
  CHECK(!publishing.publish(0, 8));
  CHECK_EQUAL(publishing.lanes().inFlight(0), 7);
  CHECK(publishing.publish(0, 0));
  log.settle();
  CHECK_EQUAL(publishing.lanes().committedBatches(), 8);
}

TEST("a sequence that no honest client can have reached ends the session, and the others go on") {
  for (const uint64_t wild : {uint64_t{17}, uint64_t{1} << 40, ~uint64_t{0}, ~uint64_t{0} - 1, uint64_t{1} << 63}) {
    Ordered at(orderSession);
    Publishing honest(at.log.open(at.topic));
    const auto liar = at.log.open(at.topic);
    CHECK(honest.publish(0, 0));
    CHECK(liar->begin(0, wild) >= 0);
    CHECK(liar->seal(0, {wild, 0, 1, 8, 8, nullptr}));
    liar->publish(0);
    at.settle();
    CHECK_EQUAL(liar->endReason(), endCorrupt);
    CHECK(honest.publish(1, 1));
    at.settle();
    CHECK_EQUAL(honest.lanes().committedBatches(), 2);
    CHECK_EQUAL(at.following.index(), 2);
  }
}

TEST("one session's gap never delays another") {
  Geometry g = tinyGeometry();
  Ordered at(orderSession, g);
  Publishing stuck(at.log.open(at.topic));
  Publishing healthy(at.log.open(at.topic));
  for (uint64_t sequence = 1; stuck.publish(sequence % 2, sequence); sequence += 1) at.settle();
  for (uint64_t sequence = 0; sequence < 1000; sequence += 1) {
    CHECK(healthy.publish(sequence % 2, sequence));
    at.settle();
    CHECK_EQUAL(healthy.lanes().committedBatches(), sequence + 1);
  }
  CHECK_EQUAL(at.following.batchesOf(stuck.session()), 0);
}

TEST("a gap that lasts does not make another session wait for the end of the epoch") {
  TestLog log(tinyGeometry(), TestLog::threaded(400'000));
  const uint32_t topic = log.declare("t", orderSession);
  Publishing stuck(log.open(topic));
  Publishing healthy(log.open(topic));
  CHECK(stuck.publish(0, 1));
  until("the gap is old", [&] {
    const uint64_t since = log.sequencer().sessions().front().gapSinceNanos;
    return since != 0 && nowNanos() - since > 500'000'000;
  });
  const uint64_t started = nowNanos();
  for (uint64_t sequence = 0; sequence < 4; sequence += 1) {
    CHECK(healthy.publish(sequence % 2, sequence));
    until("it is committed", [&] { return healthy.lanes().committedBatches() == sequence + 1; });
  }
  CHECK(nowNanos() - started < 300'000'000);
}

TEST("each topic has an order of its own, and every reader of a topic sees the same") {
  TestLog log(tinyGeometry());
  const uint32_t topics[2] = {log.declare("a", orderSession), log.declare("b", orderTotal)};
  Following first(log, log.reader(topics[0], From::start), orderSession);
  Following again(log, log.reader(topics[0], From::start), orderSession);
  Following other(log, log.reader(topics[1], From::start), orderTotal);
  Publishing a(log.open(topics[0]));
  Publishing b(log.open(topics[1]));
  for (uint64_t sequence = 0; sequence < 500; sequence += 1) {
    CHECK(a.publish(sequence % 2, sequence));
    CHECK(b.publish(sequence % 2, sequence));
    log.settle();
    first.take(64);
    if (sequence % 5 == 0) again.take(64);
    other.take(64);
  }
  while (again.take(64) != 0) log.settle();
  CHECK_EQUAL(first.batchesOf(a.session()), 500);
  CHECK_EQUAL(first.digest(), again.digest());
  CHECK_EQUAL(other.batchesOf(b.session()), 500);
  CHECK_EQUAL(first.batchesOf(b.session()) + other.batchesOf(a.session()), 0);
}

TEST("with the hold rule switched off a batch overtakes, and the checks of this suite see it") {
  SequencerOptions options = TestLog::manual();
  options.ignoreSessionOrder = true;
  TestLog log(tinyGeometry(), options);
  const uint32_t topic = log.declare("t", orderSession);
  const auto reader = log.reader(topic, From::start);
  Publishing publishing(log.open(topic));
  CHECK(publishing.publish(0, 1));
  log.settle();
  BatchView view{};
  CHECK_EQUAL(reader->poll(&view, 1), 1);
  CHECK_EQUAL(view.batchSequence, 1);
}

TEST("an acknowledgement is never ahead of what readers see") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  const auto reader = log.reader(topic, From::start);
  Random random(5);
  uint64_t sequence = 0;
  BatchView views[64];
  for (uint64_t seen = 0; seen < 2000;) {
    if (publishing.publish(static_cast<uint32_t>(random.below(2)), sequence)) sequence += 1;
    if (random.oneIn(2)) log.sequencer().step();
    const uint64_t acknowledged = publishing.lanes().committedBatches();
    seen += static_cast<uint64_t>(reader->poll(views, 64));
    CHECK(acknowledged <= seen);
    reader->release(reader->next());
  }
}

TEST("what was published before the stop is ordered by it, however much it is") {
  Geometry g = tinyGeometry();
  g.laneSlots = 2048;
  g.lanePayloadBytes = 1 << 20;
  g.indexEntries = 8192;
  TestLog log(g);
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  Following following(log, log.reader(topic, From::start), orderSession);
  uint64_t sequence = 0;
  while (publishing.publish(sequence % 2, sequence)) sequence += 1;
  CHECK(sequence > 1000);
  log.sequencer().stop();
  while (following.take(64) != 0) continue;
  CHECK_EQUAL(following.batchesOf(publishing.session()), sequence);
}

}  // namespace

}  // namespace ringfence::test
