// Rings that are lapped many times, with the consumer paused at every phase: a frequent source of mistakes in rings.
#include "lane_fixture.h"
#include "log_fixture.h"

namespace ringfence::test {

namespace {

enum class PauseAt { empty, half, full, wrap };

struct LapCase {
  uint32_t laneSlots;
  uint32_t messageBytesMax;
  uint64_t laps;
};

Geometry geometryOf(const LapCase& lap) {
  Geometry g = tinyGeometry();
  g.laneSlots = lap.laneSlots;
  g.lanePayloadBytes = lap.laneSlots == 8 ? 32768 : 131072;
  return g;
}

// One session whose batches are striped over the brokers, and one consumer that pauses at a given phase.
class Lapping {
 public:
  Lapping(const LapCase& lap, PauseAt pauseAt)
      : lap_(lap),
        pauseAt_(pauseAt),
        log_(geometryOf(lap)),
        topic_(log_.declare("laps", orderSession)),
        publishing_(log_.open(topic_), lap.messageBytesMax),
        following_(log_, log_.reader(topic_, From::start), orderSession, lap.messageBytesMax) {}

  void run() {
    const uint64_t batches = lap_.laps * lap_.laneSlots * log_.geometry().brokers;
    while (sequence_ < batches) {
      fillTo(pauseAt_);
      pausedConsumer();
      drain();
    }
    drain();
    checkAllCame();
  }

 private:
  uint64_t inFlight() {
    uint64_t most = 0;
    for (uint32_t b = 0; b < log_.geometry().brokers; b += 1) {
      const uint64_t now = publishing_.lanes().inFlight(b);
      CHECK(now <= log_.geometry().laneSlots);
      most = now > most ? now : most;
    }
    return most;
  }

  bool publishOne() {
    const uint32_t broker = static_cast<uint32_t>(sequence_ % log_.geometry().brokers);
    if (!publishing_.publish(broker, sequence_)) return false;
    sequence_ += 1;
    log_.settle();
    inFlight();
    return true;
  }

  void fillTo(PauseAt level) {
    switch (level) {
      case PauseAt::empty:
        publishOne();
        drain();
        break;
      case PauseAt::half:
        while (inFlight() < lap_.laneSlots / 2 && publishOne()) continue;
        break;
      case PauseAt::full:
        while (publishOne()) continue;
        break;
      case PauseAt::wrap:
        while (publishOne() && log_.region()->layout().geometry.indexEntries - sequence_ % 64 != 64) continue;
        break;
    }
  }

  // No batch that the consumer has not released may be reused, however long it pauses and however hard the others push.
  void pausedConsumer() {
    const uint64_t held = following_.index();
    while (following_.take(64, true) != 0) continue;
    for (int i = 0; i < 3; i += 1) {
      publishOne();
      log_.settle();
    }
    CHECK(following_.reader().committed() - held <= log_.geometry().indexEntries);
  }

  void drain() {
    do {
      log_.settle();
    } while (following_.take(64) != 0);
    log_.settle();
  }

  void checkAllCame() {
    CHECK_EQUAL(following_.batchesOf(publishing_.session()), sequence_);
    CHECK_EQUAL(publishing_.lanes().committedBatches(), sequence_);
    CHECK_EQUAL(publishing_.lanes().committedMessages(), firstMessageOf(sequence_));
    CHECK(sequence_ / log_.geometry().indexEntries >= 18);
    for (uint32_t b = 0; b < log_.geometry().brokers; b += 1) {
      const LaneFrontiers at = publishing_.lanes().frontiers(b);
      CHECK(at.published >= lap_.laps * lap_.laneSlots);
      CHECK_EQUAL(at.scanned, at.published);
      CHECK_EQUAL(at.ordered, at.published);
      CHECK_EQUAL(at.delivered, at.published);
      CHECK_EQUAL(at.held + at.duplicates + at.purged, 0);
    }
  }

  LapCase lap_;
  PauseAt pauseAt_;
  TestLog log_;
  uint32_t topic_;
  Publishing publishing_;
  Following following_;
  uint64_t sequence_ = 0;
};

void lapWith(PauseAt pauseAt) {
  constexpr uint64_t laps = 150;
  Lapping({8, 64, laps}, pauseAt).run();
  Lapping({64, 1300, laps}, pauseAt).run();
  // The other two pass through the same code: a sanitizer, with which they take long, would see nothing new.
  if (slowness != 1) return;
  Lapping({8, 1300, laps}, pauseAt).run();
  Lapping({64, 64, laps}, pauseAt).run();
}

TEST_OF_ONE_THREAD("lanes of 8 and 64 slots are lapped 150 times with the consumer paused when they are empty") {
  lapWith(PauseAt::empty);
}

TEST_OF_ONE_THREAD("lanes of 8 and 64 slots are lapped 150 times with the consumer paused when they are half full") {
  lapWith(PauseAt::half);
}

TEST_OF_ONE_THREAD("lanes of 8 and 64 slots are lapped 150 times with the consumer paused when they are full") {
  lapWith(PauseAt::full);
}

TEST_OF_ONE_THREAD("lanes of 8 and 64 slots are lapped 150 times with the consumer paused at the wrap") {
  lapWith(PauseAt::wrap);
}

TEST("with no subscriber attached the oldest batches go as room is needed, and a late reader starts behind them") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("kept", orderSession);
  Publishing publishing(log.open(topic), 1300);
  for (uint64_t sequence = 0; sequence < 3000; sequence += 1) {
    CHECK(publishing.publish(sequence % 2, sequence));
    log.settle();
    if (sequence % 100 != 99) continue;
    Following following(log, log.reader(topic, From::start), orderSession, 1300);
    const uint64_t from = following.index();
    CHECK(following.take(64) > 0);
    CHECK_EQUAL(following.index(), sequence + 1);
    CHECK(sequence + 1 - from <= 16);
  }
}

TEST("a slow writer, a slow sequencer and slow readers in any mixture lose nothing") {
  for (uint64_t round = 0; round < 12; round += 1) {
    Random random(100 + round);
    TestLog log(geometryOf({random.oneIn(2) ? 8U : 64U, 0, 0}));
    const uint32_t topic = log.declare("mixed", orderSession);
    Publishing publishing(log.open(topic), 900);
    Following fast(log, log.reader(topic, From::start), orderSession, 900);
    Following slow(log, log.reader(topic, From::start), orderSession, 900);
    uint64_t sequence = 0;
    for (uint64_t turn = 0; turn < 20'000 / slowness; turn += 1) {
      switch (random.below(5)) {
        case 0:
        case 1:
          if (publishing.publish(static_cast<uint32_t>(random.below(2)), sequence)) sequence += 1;
          break;
        case 2:
          log.sequencer().step();
          break;
        case 3:
          fast.take(static_cast<uint32_t>(random.below(8)), random.oneIn(2));
          break;
        default:
          if (random.oneIn(4)) slow.take(static_cast<uint32_t>(random.below(64)), random.oneIn(3));
      }
      CHECK(publishing.lanes().inFlight(0) <= log.geometry().laneSlots);
      CHECK(publishing.lanes().inFlight(1) <= log.geometry().laneSlots);
    }
    // A release may be all that moves: then the sequencer continues, and more batches follow.
    for (bool moved = true; moved;) {
      moved = fast.take(64) + slow.take(64) != 0;
      moved |= log.sequencer().step();
    }
    CHECK_EQUAL(fast.batchesOf(publishing.session()), sequence);
    CHECK_EQUAL(fast.digest(), slow.digest());
    CHECK(sequence > 100);
  }
}

// --- counts that are high

constexpr uint64_t boundary = uint64_t{1} << 32;

// Each count passes its boundary within the first hundred batches.
SequencerOptions afterLongLife() {
  SequencerOptions options = TestLog::manual();
  options.first.entries = 1'000'000 * 64 - 50;
  options.first.messages = boundary - 150;
  options.first.laneIndex = boundary - 20;
  options.first.payloadPosition = boundary - 2048;
  options.first.batches = boundary / 2 - 60;
  options.first.sessionMessages = firstMessageOf(options.first.batches);
  return options;
}

// Readers that begin there find the batch that holds the position.
void checkPositions(TestLog& log, uint32_t topic) {
  for (uint64_t position = boundary - 2; position <= boundary + 2; position += 1) {
    const auto reader = log.reader(topic, From::position, position);
    CHECK(reader != nullptr);
    BatchView view{};
    CHECK_EQUAL(reader->poll(&view, 1), 1);
    CHECK(view.position <= position && position < view.position + view.messages);
    reader->detach();
  }
}

TEST("beyond 2^32 records of a topic, of a session and of a lane, and a million laps of the index, order and reads are right") {
  for (const uint32_t order : {orderSession, orderTotal}) {
    for (const uint32_t messageBytesMax : {64U, 1300U}) {
      const SequencerOptions options = afterLongLife();
      const FirstCounts& first = options.first;
      TestLog log(tinyGeometry(), options);
      const uint32_t topic = log.declare("old", order);
      log.sequencer().endDead();  // publishes where the counts begin
      Publishing publishing(log.open(topic), messageBytesMax);
      Following fast(log, log.reader(topic, From::start), order, messageBytesMax);
      Following slow(log, log.reader(topic, From::start), order, messageBytesMax);
      CHECK_EQUAL(fast.index(), first.entries);
      bool passed = false;
      constexpr uint64_t batches = 400;
      for (uint64_t sequence = first.batches; sequence < first.batches + batches; sequence += 1) {
        CHECK(publishing.publish(sequence % 2, sequence));
        log.settle();
        const uint64_t messages = first.messages + firstMessageOf(sequence + 1) - first.sessionMessages;
        if (messages > boundary + 4 && !passed) {
          checkPositions(log, topic);
          passed = true;
        }
        fast.take(64);
        if (sequence % 5 == 0) slow.take(64);
      }
      while (slow.take(64) != 0) log.settle();
      CHECK(passed);
      CHECK_EQUAL(fast.index(), first.entries + batches);
      CHECK_EQUAL(fast.batchesOf(publishing.session()), batches);
      CHECK_EQUAL(fast.digest(), slow.digest());
      CHECK_EQUAL(publishing.lanes().committedBatches(), first.batches + batches);
      CHECK_EQUAL(publishing.lanes().committedMessages(), firstMessageOf(first.batches + batches));
      CHECK(publishing.lanes().committedMessages() > boundary && fast.index() > 64'000'000);
      CHECK(publishing.lanes().frontiers(0).released > boundary);
      CHECK_EQUAL(publishing.lanes().frontiers(0).ordered, batches / 2);
    }
  }
}

TEST("beyond 2^32 records and a million laps of the index each server takes the log over where it is") {
  for (const uint32_t order : {orderSession, orderTotal}) {
    const SequencerOptions options = afterLongLife();
    const FirstCounts& first = options.first;
    TestLog log(tinyGeometry(), options);
    const uint32_t topic = log.declare("old", order);
    log.sequencer().endDead();
    Publishing publishing(log.open(topic));
    Following following(log, log.reader(topic, From::start), order);
    std::unique_ptr<Sequencer> next;
    uint64_t sequence = first.batches;
    for (int servers = 0; servers < 24; servers += 1) {
      Sequencer& server = next == nullptr ? log.sequencer() : *next;
      // The next server finds the last four unseen.
      for (int i = 0; i < 13; i += 1, sequence += 1) {
        CHECK(publishing.publish(sequence % 2, sequence));
        while (i < 9 && server.step()) continue;
        following.take(64);
      }
      server.stop(true);
      next = std::make_unique<Sequencer>(log.region(), TestLog::manual());
      CHECK_EQUAL(next->start().fault, "none");
      while (next->step()) continue;
      following.take(64);
      CHECK_EQUAL(following.index(), first.entries + sequence - first.batches);
      CHECK_EQUAL(publishing.lanes().committedBatches(), sequence);
      CHECK_EQUAL(publishing.lanes().committedMessages(), firstMessageOf(sequence));
    }
    CHECK_EQUAL(following.batchesOf(publishing.session()), sequence - first.batches);
  }
}

TEST("under order none the readers of a lane go on beyond 2^32 descriptors and bytes") {
  TestLog log(tinyGeometry(), afterLongLife());
  const uint32_t topic = log.declare("old", orderNone);
  log.sequencer().endDead();
  Publishing publishing(log.open(topic));
  const auto reader = LaneFollowing::attached(log.region(), log.placeOf(topic), From::start);
  CHECK(reader != nullptr);
  for (uint64_t sequence = 0; sequence < 300; sequence += 1) {
    CHECK(publishing.publish(sequence % 2, sequence));
    CHECK(reader->take(64) >= 0);
    log.settle();
  }
  CHECK(reader->wrong == nullptr);
  CHECK_EQUAL(reader->count(), 300);
  CHECK(publishing.lanes().frontiers(0).released > boundary);
}

}  // namespace

}  // namespace ringfence::test
