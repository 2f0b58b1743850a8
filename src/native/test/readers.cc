// Readers: where they begin, what they hold back, and that no memory is reused that they may still read.
#include <thread>

#include "log_fixture.h"
#include "raw_line.h"
#include "region/token.h"

namespace ringfence::test {

namespace {

// Publishes on a thread of its own, as fast as the lanes have room, until it is stopped.
class Publisher {
 public:
  Publisher(TestLog& log, uint32_t topic) : publishing_(log.open(topic), 300), thread_([this] { run(); }) {}
  ~Publisher() { stop(); }
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  void stop() {
    stopping_.store(true);
    if (thread_.joinable()) thread_.join();
  }
  uint64_t published() const { return published_.load(); }
  uint64_t session() const { return publishing_.session(); }

 private:
  void run() {
    for (uint64_t sequence = 0; !stopping_.load();) {
      if (!publishing_.publish(sequence % 2, sequence)) {
        pauseBriefly();
        continue;
      }
      sequence += 1;
      published_.store(sequence);
    }
  }

  Publishing publishing_;
  std::atomic<bool> stopping_{false};    // private
  std::atomic<uint64_t> published_{0};  // private
  std::thread thread_;
};

struct Kept {
  uint64_t trim;
  uint64_t committed;
  uint64_t messages;
};

Kept keptOf(const TestLog& log, uint32_t topic) {
  const Publication& p = log.region()->publication();
  const TopicLine& line = log.region()->topicLine(1, topic);
  const auto committed = p.snapshot<&TopicLine::Committed::entries>(line.committed);
  return {p.observe<&TopicLine::Retention::trim>(line.retention), committed.entries, committed.messages};
}

void publishMany(TestLog& log, Publishing& publishing, uint64_t from, uint64_t count) {
  for (uint64_t sequence = from; sequence < from + count; sequence += 1) {
    CHECK(publishing.publish(sequence % 2, sequence));
    log.settle();
  }
}

TEST("a reader from the start begins with the oldest batch kept, one from the end with the next") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  publishMany(log, publishing, 0, 200);
  const Kept kept = keptOf(log, topic);
  CHECK(kept.trim > 100 && kept.committed == 200);
  Following first(log, log.reader(topic, From::start), orderSession);
  Following last(log, log.reader(topic, From::end), orderSession);
  CHECK_EQUAL(first.index(), kept.trim);
  CHECK_EQUAL(last.index(), 200);
  publishMany(log, publishing, 200, 1);
  CHECK_EQUAL(first.take(64), 201 - kept.trim);
  CHECK_EQUAL(last.take(64), 1);
}

TEST("a reader from a position begins with the batch that holds it, and a trimmed one is told what is kept") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  publishMany(log, publishing, 0, 200);
  const Kept kept = keptOf(log, topic);
  const uint64_t oldest = firstMessageOf(kept.trim);
  for (uint64_t position = oldest; position <= kept.messages + 5; position += 1) {
    const auto reader = log.reader(topic, From::position, position);
    BatchView view{};
    if (position >= kept.messages) {
      CHECK_EQUAL(reader->poll(&view, 1), 0);
      CHECK_EQUAL(reader->next(), 200);
      continue;
    }
    CHECK_EQUAL(reader->poll(&view, 1), 1);
    CHECK(view.position <= position && position < view.position + view.messages);
  }
  for (const uint64_t position : {uint64_t{0}, oldest - 1}) {
    Claim claim;
    CHECK_EQUAL(claimReader(*log.region(), {topic, 1}, "late", claim).fault, "none");
    const Status status = IndexReader(log.region(), topic, claim).attach(From::position, position);
    CHECK_EQUAL(status.fault, "trimmed");
    CHECK_EQUAL(status.freeBytes, oldest);
  }
  for (int i = 0; i < 20; i += 1) log.reader(topic, From::position, oldest);  // those refused hold no slot
}

TEST("a reader that attached before the log is served begins with it") {
  const auto region = anonymousRegion(tinyGeometry());
  TopicView declared;
  CHECK_EQUAL(declareTopic(*region, "t", orderSession, 1, declared).fault, "none");
  std::unique_ptr<IndexReader> readers[3];
  for (const From from : {From::start, From::end, From::position}) {
    Claim claim;
    CHECK_EQUAL(claimReader(*region, {declared.index, 1}, "early", claim).fault, "none");
    auto& reader = readers[static_cast<uint32_t>(from)];
    reader = std::make_unique<IndexReader>(region, declared.index, claim);
    CHECK_EQUAL(reader->attach(from, 0).fault, "none");
  }
  TestLog log(region, TestLog::manual());
  log.settle();
  Publishing publishing(log.open(declared.index));
  Following first(log, std::move(readers[0]), orderSession);
  Following second(log, std::move(readers[1]), orderSession);
  Following third(log, std::move(readers[2]), orderSession);
  for (uint64_t sequence = 0; sequence < 300; sequence += 1) {
    CHECK(publishing.publish(sequence % 2, sequence));
    log.settle();
    CHECK_EQUAL(first.take(64) + second.take(64) + third.take(64), 3);
  }
}

TEST("an attached reader gates: what it has not given back stays, and publishers wait") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  Following slow(log, log.reader(topic, From::start), orderSession);
  Following fast(log, log.reader(topic, From::start), orderSession);
  uint64_t sequence = 0;
  const auto fill = [&] {
    while (publishing.publish(sequence % 2, sequence)) {
      sequence += 1;
      log.settle();
      fast.take(64);
    }
  };
  fill();
  CHECK(sequence >= 14 && sequence <= 16);
  CHECK_EQUAL(keptOf(log, topic).trim, 0);
  const std::vector<GateReport> gates = log.sequencer().gates();
  CHECK_EQUAL(gates.size(), 1);
  CHECK_EQUAL(gates[0].reader, 0);
  CHECK_EQUAL(gates[0].behind, sequence);
  CHECK(gates[0].sinceNanos != 0);
  slow.take(4);
  log.settle();
  const uint64_t before = sequence;
  fill();
  CHECK(sequence >= before + 2 && sequence <= before + 4);
  while (slow.take(64) != 0) continue;
  log.settle();
  CHECK(log.sequencer().gates().empty());
}

TEST("a batch is kept until it is given back, though it was polled") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic), 1300);
  const auto reader = log.reader(topic, From::start);
  uint64_t sequence = 0;
  while (publishing.publish(sequence % 2, sequence)) {
    sequence += 1;
    log.settle();
  }
  BatchView views[64];
  CHECK_EQUAL(reader->poll(views, 64), sequence);
  for (int i = 0; i < 10; i += 1) log.settle();
  CHECK(!publishing.publish(sequence % 2, sequence));
  for (uint64_t i = 0; i < sequence; i += 1) {
    const BatchContents contents = contentsOf(publishing.session(), i, 1300);
    const uint8_t* at = log.region()->laneBytes(views[i].lane) + views[i].payloadOffset;
    CHECK(std::equal(contents.bytes.begin(), contents.bytes.end(), at));
  }
}

TEST("a cursor never moves back, nor past what was polled") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  publishMany(log, publishing, 0, 6);
  const auto reader = log.reader(topic, From::start);
  const uint64_t& cursor = RawLine::of(log.region()->reader(topic, 0).line).cursor;
  BatchView views[4];
  CHECK_EQUAL(reader->poll(views, 4), 4);
  reader->release(3);
  CHECK_EQUAL(cursor, 3);
  reader->release(1);
  CHECK_EQUAL(cursor, 3);
  reader->release(5);
  CHECK_EQUAL(cursor, 3);
  reader->release(4);
  CHECK_EQUAL(cursor, 4);
}

TEST("a reader that detaches, or dies, holds nothing back any more and gives its slot up") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  uint64_t sequence = 0;
  for (int round = 0; round < 20; round += 1) {
    std::shared_ptr<Region> other;
    CHECK_EQUAL(Region::reattach(*log.region(), "reader", other).fault, "none");
    Claim claim;
    CHECK_EQUAL(claimReader(*other, {topic, 1}, "victim", claim).fault, "none");
    IndexReader reader(other, topic, claim);
    CHECK_EQUAL(reader.attach(From::start, 0).fault, "none");
    CHECK(claim.slot == 0 && claim.generation == static_cast<uint64_t>(round) + 1);
    while (publishing.publish(sequence % 2, sequence)) {
      sequence += 1;
      log.settle();
    }
    CHECK(log.sequencer().endDead().empty());
    CHECK(!publishing.publish(sequence % 2, sequence));
    if (round % 2 == 0) {
      reader.detach();
    } else {
      other->close();
      CHECK_EQUAL(readersEnding(*log.region(), topic), 1U);
      const auto ended = log.sequencer().endDead();
      CHECK_EQUAL(ended.size(), 1);
      CHECK_EQUAL(ended[0].name, "victim");
    }
    CHECK_EQUAL(readersEnding(*log.region(), topic), 0U);
    log.settle();
    publishMany(log, publishing, sequence, 20);
    sequence += 20;
  }
}

TEST("a reader's slot is claimed by one at a time, and a full table is a typed fault") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  std::vector<std::unique_ptr<IndexReader>> readers;
  for (uint32_t i = 0; i < log.geometry().readers; i += 1) readers.push_back(log.reader(topic, From::start));
  Claim claim;
  CHECK_EQUAL(claimReader(*log.region(), {topic, 1}, "extra", claim).fault, "full");
  CHECK_EQUAL(readersEnding(*log.region(), topic), 0U);
  readers[2]->detach();
  CHECK_EQUAL(claimReader(*log.region(), {topic, 1}, "extra", claim).fault, "none");
  CHECK_EQUAL(claim.slot, 2);
  CHECK_EQUAL(claim.generation, 2);
}

TEST("what is delivered is known while the sequencer has nothing else to do") {
  TestLog log(tinyGeometry(), TestLog::threaded());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  Following following(log, log.reader(topic, From::start), orderSession);
  for (uint64_t sequence = 0; sequence < 4; sequence += 1) CHECK(publishing.publish(0, sequence));
  until("all is committed", [&] { return publishing.lanes().committedBatches() == 4; });
  until("all is read", [&] { return following.take(64), following.index() == 4; });
  until("it is counted as delivered", [&] {
    log.sequencer().endDead();  // as the serving process does periodically
    return publishing.lanes().frontiers(0).delivered == 4;
  });
}

TEST("a reader that has left and died before it rang holds no publisher back") {
  TestLog log(tinyGeometry(), TestLog::threaded());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  auto reader = log.reader(topic, From::start);
  uint64_t sequence = 0;
  const auto publishes = [&] { return publishing.publish(sequence % 2, sequence); };
  until("the sequencer sleeps until a reader gives room back", [&] {
    while (publishes()) sequence += 1;
    publishing.lanes().wantRoom();
    return (log.region()->publication().observe<&SleepLine::sleeps>(log.region()->blockHead(1).sleep) & sleepsForRoom) != 0;
  });
  leavePlace(*log.region(), topic, 0, 1);
  until("there is room", [&] {
    log.sequencer().endDead();  // as the serving process does periodically
    return publishes();
  });
}

// Attaches readers at any moment, while the oldest batches are trimmed as fast as new ones arrive.
void attachWhileTrimming(From from) {
  TestLog log(tinyGeometry(), TestLog::threaded());
  const uint32_t topic = log.declare("t", orderSession);
  Publisher publisher(log, topic);
  Random random(300 + static_cast<uint64_t>(from));
  uint64_t attached = 0;
  uint64_t refused = 0;
  const uint64_t started = nowNanos();
  for (uint64_t round = 0; round < 6000 / slowness && nowNanos() - started < 10'000'000'000; round += 1) {
    const Kept kept = keptOf(log, topic);
    const uint64_t behind = random.below(24);
    auto reader = log.reader(topic, from, kept.messages < behind ? 0 : kept.messages - behind);
    if (reader == nullptr) {
      refused += 1;
      continue;
    }
    attached += 1;
    CHECK(from != From::end || reader->next() >= kept.committed);
    // Do not compare with the trim frontier: the sequencer may have taken it back for the previous reader.
    CHECK(reader->next() + log.geometry().indexEntries >= kept.committed);
    Following following(log, std::move(reader), orderSession, 300);
    for (uint64_t turn = random.below(4); turn != 0; turn -= 1) following.take(static_cast<uint32_t>(random.below(12)));
    if (random.oneIn(50)) until("more comes", [&] { return following.take(64) != 0; });
  }
  until("enough was published", [&] { return publisher.published() * slowness > 100; });
  publisher.stop();
  CHECK(attached > 20);
  if (from != From::position) CHECK_EQUAL(refused, 0);
}

TEST("a reader may attach at the start at any moment: it sees a dense run of whole batches") {
  attachWhileTrimming(From::start);
}

TEST("a reader may attach at the end at any moment: it sees a dense run of whole batches") {
  attachWhileTrimming(From::end);
}

TEST("a reader may attach at a position at any moment: it sees whole batches, or is told what is kept") {
  attachWhileTrimming(From::position);
}

TEST("several writers and readers on threads of their own agree on one order, byte for byte") {
  Geometry g = tinyGeometry();
  g.clients = 3;
  TestLog log(g, TestLog::threaded(200));
  const uint32_t topic = log.declare("t", orderSession);
  Following first(log, log.reader(topic, From::start), orderSession, 300);
  Following second(log, log.reader(topic, From::start), orderSession, 300);
  constexpr uint64_t batches = 6000 / slowness;
  std::vector<std::unique_ptr<Publishing>> publishings;
  for (int i = 0; i < 3; i += 1) publishings.push_back(std::make_unique<Publishing>(log.open(topic), 300));
  std::vector<std::thread> threads;
  for (auto& publishing : publishings) {
    threads.emplace_back([&publishing] {
      for (uint64_t sequence = 0; sequence < batches;) {
        if (publishing->publish(static_cast<uint32_t>(mix64(sequence) % 2), sequence)) {
          sequence += 1;
        } else {
          pauseBriefly();
        }
      }
    });
  }
  for (Following* following : {&first, &second}) {
    threads.emplace_back([following] {
      until("all came", [&] {
        while (following->take(64) != 0) continue;
        return following->index() == 3 * batches;
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQUAL(first.digest(), second.digest());
  for (auto& publishing : publishings) CHECK_EQUAL(publishing->lanes().committedBatches(), batches);
}

}  // namespace

}  // namespace ringfence::test
