// The order: when a batch may be committed, and that one session's trouble does not affect another.
#include <algorithm>
#include <map>

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

// Nine lanes of one session. The first batches get their room on a lane each, and are published last.
struct Late {
  Late(uint32_t late, bool sealed, uint32_t messageBytesMax)
      : log(geometry()),
        topic(log.declare("t", orderSession)),
        publishing(log.open(topic), messageBytesMax),
        following(log, log.reader(topic, From::start), orderSession, messageBytesMax) {
    for (; next < late; next += 1) {
      const uint32_t broker = static_cast<uint32_t>(next);
      CHECK(publishing.lanes().begin(broker, next) >= 0);
      if (sealed) CHECK(publishing.write(broker, next));
    }
  }

  static Geometry geometry() {
    Geometry g = tinyGeometry();
    g.brokers = 9;
    return g;
  }

  // Until no lane from that one on takes another batch.
  void fillFrom(uint32_t first, uint32_t late) {
    for (uint32_t broker = first; broker < 9; broker += 1) {
      while (publishing.write(broker, next)) {
        if (broker >= late) publishing.lanes().publish(broker);
        next += 1;
        log.settle();
      }
    }
  }

  TestLog log;
  uint32_t topic;
  Publishing publishing;
  Following following;
  uint64_t next = 0;
};

TEST("one to eight late batches that were begun first find room though all lanes are full of batches that wait for them") {
  Random random(17);
  for (const uint32_t messageBytesMax : {64U, 1300U}) {
    for (const bool sealed : {true, false}) {
      for (uint32_t late = 1; late <= 8; late += 1) {
        Late at(late, sealed, messageBytesMax);
        // A lane with a begun batch takes no other before it is sealed.
        at.fillFrom(sealed ? 0 : late, late);
        CHECK(at.next >= late + 8);
        CHECK_EQUAL(at.following.take(64), 0);
        CHECK_EQUAL(at.publishing.lanes().committedBatches(), 0);
        std::vector<uint32_t> brokers;
        for (uint32_t broker = 0; broker < late; broker += 1) brokers.push_back(broker);
        for (; !brokers.empty(); at.log.settle()) {
          const size_t which = random.below(brokers.size());
          const uint32_t broker = brokers[which];
          if (!sealed) CHECK(at.publishing.write(broker, broker));
          at.publishing.lanes().publish(broker);
          brokers.erase(brokers.begin() + static_cast<long>(which));
        }
        while (at.following.take(64) != 0) at.log.settle();
        CHECK_EQUAL(at.following.batchesOf(at.publishing.session()), at.next);
        CHECK_EQUAL(at.publishing.lanes().committedBatches(), at.next);
      }
    }
  }
}

TEST("a lane takes batches until its last slot or its last room is taken: none is kept back") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  CHECK(publishing.write(1, 0));
  for (uint64_t sequence = 1; sequence < 9; sequence += 1) CHECK(publishing.publish(0, sequence));
  log.settle();
  CHECK_EQUAL(publishing.lanes().inFlight(0), 8);
  CHECK(!publishing.publish(0, 9));
  publishing.lanes().publish(1);
  log.settle();
  CHECK_EQUAL(publishing.lanes().committedBatches(), 9);
}

TEST("batches begun in their order, sealed and published in any other, with readers that pause, never wait for ever") {
  for (uint64_t round = 0; round < 60 / slowness; round += 1) {
    Random random(900 + round);
    Late at(0, true, random.oneIn(2) ? 64 : 1300);
    std::map<uint32_t, uint64_t> open;  // by broker: the batch that is begun and not sealed
    const auto seal = [&](uint32_t broker) {
      CHECK(at.publishing.write(broker, open[broker]));
      open.erase(broker);
    };
    const auto begin = [&] {
      const uint32_t first = static_cast<uint32_t>(random.below(9));
      for (uint32_t turn = 0; turn < 9; turn += 1) {
        const uint32_t broker = (first + turn) % 9;
        if (open.count(broker) != 0 || at.publishing.lanes().begin(broker, at.next) < 0) continue;
        open[broker] = at.next;
        at.next += 1;
        return true;
      }
      return false;
    };
    while (at.next < 600) {
      const uint32_t broker = static_cast<uint32_t>(random.below(9));
      if (random.oneIn(3) && open.count(broker) != 0) seal(broker);
      if (random.oneIn(6)) at.publishing.lanes().publish(broker);
      if (random.oneIn(4)) at.log.settle();
      if (random.oneIn(8)) at.following.take(64);
      if (begin()) continue;
      // No lane has room: what is begun needs none, and all of it comes through.
      while (!open.empty()) seal(open.begin()->first);
      for (uint32_t b = 0; b < 9; b += 1) at.publishing.lanes().publish(b);
      at.log.settle();
      while (at.following.take(64) != 0) at.log.settle();
      CHECK_EQUAL(at.publishing.lanes().committedBatches(), at.next);
      CHECK(begin());
    }
  }
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
