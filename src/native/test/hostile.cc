// Shared memory is untrusted: for anything that a peer may write there, no process crashes or leaves the mapping, the
// session that lied ends, and the others continue.
#include <algorithm>
#include <functional>
#include <thread>

#include "log_fixture.h"
#include "measure/machine.h"
#include "raw_line.h"
#include "region/sealed_line.h"
#include "region/token.h"
#include "region/waiter.h"

namespace ringfence::test {

namespace {

constexpr uint64_t extremes[] = {0, 1, 63, 64, 1ULL << 31, 1ULL << 32, 1ULL << 63, ~0ULL - 63, ~0ULL - 1, ~0ULL};

uint64_t wild(Random& random) {
  if (random.oneIn(3)) return extremes[random.below(std::size(extremes))];
  return random.oneIn(2) ? random.below(64) : random.next();
}

// Checks that every byte of a view lies in its lane and can be read.
void checkView(const Region& region, const BatchView& view) {
  const Geometry& g = region.layout().geometry;
  CHECK(view.lane < region.layout().lanes());
  CHECK(view.messages != 0);
  CHECK_EQUAL(view.payloadOffset % lineBytes, 0);
  const uint64_t bytes = batchBytesOf(view.payloadBytes, view.messages, view.uniformBytes);
  CHECK(bytes <= g.batchBytes && view.payloadOffset + bytes <= g.lanePayloadBytes);
  foldBytes(region.laneBytes(view.lane) + view.payloadOffset, bytes);
}

// --- one lie at a time ---

struct Lie {
  const char* field;
  std::function<void(Descriptor&)> tell;
};

const std::vector<Lie>& lies() {
  static const std::vector<Lie> all = {
      {"session key", [](Descriptor& d) { d.sessionKey += 1 << 16; }},
      {"payload position at the end of numbers", [](Descriptor& d) { d.payloadPosition = ~0ULL - 63; }},
      {"payload position far ahead", [](Descriptor& d) { d.payloadPosition += 1ULL << 40; }},
      {"payload position before the last batch", [](Descriptor& d) { d.payloadPosition -= 64; }},
      {"payload position off its line", [](Descriptor& d) { d.payloadPosition += 4; }},
      {"payload over the end of the lane", [](Descriptor& d) { d.payloadPosition = 32768 + 32768 - 64; }},
      {"payload bytes", [](Descriptor& d) { d.payloadBytes = ~0U; }},
      {"payload bytes beyond a batch", [](Descriptor& d) { d.payloadBytes = 4097; }},
      {"no messages", [](Descriptor& d) { d.messageCount = 0; }},
      {"more messages than bytes", [](Descriptor& d) { d.messageCount = ~0U; }},
      {"a table beyond the batch", [](Descriptor& d) { d.uniformBytes = 0, d.messageCount = 2000; }},
      {"length of each", [](Descriptor& d) { d.uniformBytes = ~0U; }},
      {"lengths that do not add up", [](Descriptor& d) { d.uniformBytes = 3, d.messageCount = 7; }},
      {"sequence beyond the window", [](Descriptor& d) { d.batchSequence += 16; }},
      {"sequence at the end of numbers", [](Descriptor& d) { d.batchSequence = ~0ULL; }},
  };
  return all;
}

TEST("each lie of a descriptor ends its session as corrupt at the committed prefix, and the others go on") {
  for (const Lie& lie : lies()) {
    TestLog log(tinyGeometry());
    const uint32_t topic = log.declare("t", orderSession);
    Following following(log, log.reader(topic, From::start), orderSession);
    Publishing honest(log.open(topic));
    Publishing liar(log.open(topic));
    CHECK(honest.publish(0, 0));
    for (uint64_t sequence = 0; sequence < 3; sequence += 1) CHECK(liar.publish(0, sequence));
    log.settle();
    CHECK(liar.write(0, 3));
    Descriptor& shared = RawLine::of(log.region()->descriptor(liar.lanes().laneOf(0), 3));
    lie.tell(shared);
    shared.crc = descriptorCrc(shared);
    CHECK(liar.write(0, 4));
    liar.lanes().publish(0);
    CHECK(liar.publish(1, 5));
    log.settle();
    if (liar.lanes().endReason() != endCorrupt) fail(__FILE__, __LINE__, std::string("believed: ") + lie.field);
    for (uint64_t sequence = 1; sequence < 40; sequence += 1) {
      CHECK(honest.publish(sequence % 2, sequence));
      log.settle();
      while (following.take(64) != 0) continue;
    }
    CHECK_EQUAL(following.batchesOf(honest.session()), 40);
    CHECK_EQUAL(following.batchesOf(liar.session()), 3);
    const SessionReport report = log.sequencer().sessions()[liar.lanes().claim().slot];
    CHECK(report.ended && report.batches == 3 && report.held == 0);
    liar.lanes().close();
    Publishing next(log.open(topic));
    CHECK(next.publish(0, 0));
    log.settle();
    CHECK_EQUAL(next.lanes().committedBatches(), 1);
  }
}

TEST("a descriptor whose checksum is wrong ends its session") {
  for (uint32_t bit = 0; bit < 8 * offsetof(Descriptor, crc); bit += 7) {
    TestLog log(tinyGeometry());
    const uint32_t topic = log.declare("t", orderSession);
    Publishing publishing(log.open(topic));
    CHECK(publishing.write(0, 0));
    auto* bytes = reinterpret_cast<uint8_t*>(&log.region()->descriptor(publishing.lanes().laneOf(0), 0));
    if (bit >= 64) bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ (1U << (bit % 8)));
    publishing.lanes().publish(0);
    log.settle();
    CHECK_EQUAL(publishing.lanes().endReason(), bit >= 64 ? endCorrupt : endNone);
  }
}

TEST("a reader gives only views that lie in their lane, or says that the index is damaged") {
  Random random(7);
  const uint64_t words = sizeof(IndexEntry) / sizeof(uint64_t);
  for (uint64_t round = 0; round < 20'000 / slowness; round += 1) {
    static TestLog log(tinyGeometry());
    static const uint32_t topic = log.declare("t", orderSession);
    static Publishing publishing(log.open(topic));
    static uint64_t sequence = 0;
    for (int i = 0; i < 4; i += 1, sequence += 1) {
      CHECK(publishing.publish(sequence % 2, sequence));
      log.settle();
    }
    const auto reader = log.reader(topic, From::start);
    const uint64_t bad = reader->next() + random.below(log.geometry().indexEntries);
    auto* entry = reinterpret_cast<uint64_t*>(&log.region()->entry(1, topic, bad));
    const IndexEntry good = RawLine::of(log.region()->entry(1, topic, bad));
    const uint64_t word = random.below(words);
    if (random.oneIn(2)) {
      entry[word] = wild(random);
    } else {
      reinterpret_cast<uint32_t*>(entry)[random.below(2 * words)] = static_cast<uint32_t>(wild(random));
    }
    BatchView views[64];
    const int32_t count = reader->poll(views, 64);
    for (int32_t i = 0; i < count; i += 1) checkView(*log.region(), views[i]);
    RawLine::of(log.region()->entry(1, topic, bad)) = good;
  }
}

TEST("what is whole before a damaged entry is still given, and nothing after it") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  const auto reader = log.reader(topic, From::start);
  for (uint64_t sequence = 0; sequence < 6; sequence += 1) CHECK(publishing.publish(sequence % 2, sequence));
  log.settle();
  RawLine::of(log.region()->entry(1, topic, 4)).lane = 77;
  BatchView views[64];
  CHECK_EQUAL(reader->poll(views, 64), 4);
  CHECK_EQUAL(reader->poll(views, 64), ~uint64_t{0});
  CHECK_EQUAL(reader->next(), 4);
}

TEST("counts that contradict each other are no frontier: a reader stops, it neither hangs nor leaves the index") {
  for (const uint64_t trim : extremes) {
    for (const uint64_t committed : extremes) {
      TestLog log(tinyGeometry());
      const uint32_t topic = log.declare("t", orderSession);
      Publishing publishing(log.open(topic));
      for (uint64_t sequence = 0; sequence < 6; sequence += 1) CHECK(publishing.publish(sequence % 2, sequence));
      log.settle();
      TopicLine::Retention& retention = RawLine::of(log.region()->topicLine(1, topic).retention);
      TopicLine::Committed& counts = RawLine::of(log.region()->topicLine(1, topic).committed);
      retention.trim = trim;
      counts.entries = committed;
      retention.seal = sealOf(retention);
      counts.seal = sealOf(counts);
      for (const From from : {From::start, From::end, From::position}) {
        const auto reader = log.reader(topic, from, committed / 2, 1);
        if (reader == nullptr) continue;
        BatchView views[64];
        const int32_t count = reader->poll(views, 64);
        for (int32_t i = 0; i < count; i += 1) checkView(*log.region(), views[i]);
      }
      log.reader(topic, From::start, 0, 1);  // a refused reader has given its slot back
    }
  }
}

TEST_OF_ONE_THREAD("marks of a lane that cannot be true give no room, and never room outside the lane") {
  Random random(8);
  for (int round = 0; round < 3000; round += 1) {
    TestLog log(tinyGeometry());
    const uint32_t topic = log.declare("t", orderSession);
    Publishing publishing(log.open(topic));
    for (uint64_t sequence = 0; sequence < 5; sequence += 1) publishing.publish(0, sequence);
    log.settle();
    LaneLine::Frontiers& line = RawLine::of(log.laneLine(publishing.lanes(), 0).frontiers);
    line.released = wild(random);
    line.payloadReleased = wild(random);
    line.scanned = wild(random);
    line.payloadEnd = wild(random);
    line.seal = sealOf(line);
    SessionLine::Acknowledged& acknowledged = RawLine::of(log.sessionLine(publishing.lanes().claim()).acknowledged);
    acknowledged.batches = wild(random);
    acknowledged.seal = sealOf(acknowledged);
    for (uint64_t sequence = 5; sequence < 40; sequence += 1) {
      const int64_t offset = publishing.lanes().begin(0, sequence);
      if (offset < 0) break;
      CHECK(static_cast<uint64_t>(offset) + log.geometry().batchBytes <= log.geometry().lanePayloadBytes);
      CHECK(publishing.publish(0, sequence));
      CHECK(publishing.lanes().inFlight(0) <= log.geometry().laneSlots);
    }
    publishing.lanes().frontiers(0);
  }
}

TEST("a lane whose marks contradict each other is not taken over") {
  for (const uint64_t released : extremes) {
    for (const uint64_t payloadReleased : extremes) {
      TestLog log(tinyGeometry());
      const uint32_t topic = log.declare("t", orderSession);
      const Claim claim = log.claim(topic);
      log.settle();
      LaneWriter writer(log.region(), claim);
      LaneLine::Frontiers& line = RawLine::of(log.laneLine(writer, 0).frontiers);
      line.released = released;
      line.payloadReleased = payloadReleased;
      line.seal = sealOf(line);
      grantLanes(*log.region(), 0);
      grantLanes(*log.region(), 1);
      const bool sound = 0 - released <= 8 && 0 - payloadReleased <= 32768;
      CHECK_EQUAL(writer.ready(), sound);
      if (sound) CHECK(writer.begin(0, 0) < 32768 - 4096 + 1);
    }
  }
}

// --- random bytes while everything runs ---

// A range of shared memory that the attacker writes to.
struct Target {
  uint8_t* at;
  size_t bytes;
};

void hit(const std::vector<Target>& targets, Random& random) {
  const Target& target = targets[random.below(targets.size())];
  const uint64_t word = random.below(target.bytes / 8);
  if (random.oneIn(4)) {
    memory::store(target.at[random.below(target.bytes)], static_cast<uint8_t>(random.next()), {});
  } else {
    memory::store(reinterpret_cast<uint64_t*>(target.at)[word], wild(random), {});
  }
}

template <class Record>
Target target(Record& record) {
  return {reinterpret_cast<uint8_t*>(&record), sizeof(Record)};
}

// All structures of one client and one topic, which a lying process may write.
std::vector<Target> targetsOf(const Region& region, uint32_t client, uint32_t topic) {
  const Geometry& g = region.layout().geometry;
  std::vector<Target> targets = {target(region.client(client)), target(region.sessionLine(1, client))};
  for (uint32_t b = 0; b < g.brokers; b += 1) {
    const uint64_t lane = region.laneOf(b, client);
    targets.push_back(target(region.producer(lane)));
    targets.push_back(target(region.grant(1, lane)));
    targets.push_back(target(region.laneLine(1, lane)));
    for (uint64_t slot = 0; slot < g.laneSlots; slot += 1) targets.push_back(target(region.descriptor(lane, slot)));
  }
  for (uint32_t i = 0; i < g.readers; i += 1) targets.push_back(target(region.reader(topic, i)));
  for (uint32_t i = topic; i < g.topics; i += 1) targets.push_back(target(region.topic(i)));
  targets.push_back(target(region.topicLine(1, topic)));
  return targets;
}

// A client that keeps claiming, writing and reading, also after calls that fail.
class Reckless {
 public:
  Reckless(TestLog& log, uint32_t topic, uint64_t stream) : log_(log), topic_(topic), random_(stream) {}

  void act() {
    switch (random_.below(4)) {
      case 0:
        return open();
      case 1:
      case 2:
        return write();
      default:
        return read();
    }
  }

 private:
  void open() {
    Claim claim;
    if (lanes_ == nullptr && claimClient(*log_.region(), {topic_, 1}, claim).ok()) {
      lanes_ = std::make_unique<LaneWriter>(log_.region(), claim);
      sequence_ = 0;
    }
    if (lanes_ != nullptr && (random_.oneIn(50) || lanes_->endReason() != endNone)) {
      lanes_->close();
      lanes_.reset();
    }
    if (!random_.oneIn(20)) return;
    reader_.reset();
    if (!claimReader(*log_.region(), {topic_, 1}, "reckless", claim).ok()) return;
    reader_ = std::make_unique<IndexReader>(log_.region(), topic_, claim, 1);
    if (!reader_->attach(static_cast<From>(random_.below(3)), random_.below(100)).ok()) reader_.reset();
  }

  void write() {
    for (uint32_t b = 0; b < log_.geometry().brokers; b += 1) grantLanes(*log_.region(), b);
    if (lanes_ == nullptr || !lanes_->ready()) return;
    const uint32_t broker = static_cast<uint32_t>(random_.below(log_.geometry().brokers));
    const int64_t offset = lanes_->begin(broker, sequence_);
    if (offset < 0) return;
    CHECK(static_cast<uint64_t>(offset) + log_.geometry().batchBytes <= log_.geometry().lanePayloadBytes);
    if (!lanes_->seal(broker, {sequence_, sequence_, 1, 8, 8, nullptr})) return;
    sequence_ += 1;
    lanes_->publish(broker);
    lanes_->inFlight(broker);
    lanes_->frontiers(broker);
    lanes_->brokerHolding(random_.below(100));
    lanes_->held();
  }

  void read() {
    if (reader_ == nullptr) return;
    BatchView views[64];
    const int32_t count = reader_->poll(views, 64);
    for (int32_t i = 0; i < count; i += 1) checkView(*log_.region(), views[i]);
    reader_->release(random_.oneIn(8) ? wild(random_) : reader_->next());
  }

  TestLog& log_;
  uint32_t topic_;
  Random random_;
  std::unique_ptr<LaneWriter> lanes_;
  std::unique_ptr<IndexReader> reader_;
  uint64_t sequence_ = 0;
};

// Reads a topic, and checks the batches of one session. A client that lies about its claim may open a session in any
// topic, so that there are others.
class Honest {
 public:
  Honest(TestLog& log, uint32_t topic, uint64_t session)
      : region_(*log.region()), reader_(log.reader(topic, From::start)), session_(session) {}

  uint64_t batches() const { return batches_; }
  void take() {
    BatchView views[64];
    const int32_t count = reader_->poll(views, 64);
    CHECK(count >= 0);
    for (int32_t i = 0; i < count; i += 1) {
      if (views[i].sessionId == session_) check(views[i]);
    }
    reader_->release(reader_->next());
  }

 private:
  void check(const BatchView& view) {
    CHECK_EQUAL(view.batchSequence, batches_);
    batches_ += 1;
    const BatchContents contents = contentsOf(session_, view.batchSequence, 64);
    CHECK_EQUAL(view.messages, contents.messages);
    CHECK_EQUAL(view.payloadBytes, contents.payloadBytes);
    const uint8_t* at = region_.laneBytes(view.lane) + view.payloadOffset;
    CHECK(std::equal(contents.bytes.begin(), contents.bytes.end(), at));
  }

  const Region& region_;
  std::unique_ptr<IndexReader> reader_;
  uint64_t session_;
  uint64_t batches_ = 0;
};

TEST("random bytes in everything that a client may write never crash a process, and an honest session goes on") {
  Geometry g = tinyGeometry();
  g.clients = 3;
  g.topics = 3;
  TestLog log(g, TestLog::threaded());
  const uint32_t topic = log.declare("honest", orderSession);
  const uint32_t other = log.declare("attacked", orderSession);
  Publishing honest(log.open(topic));
  Honest following(log, topic, honest.session());
  std::atomic<bool> done{false};  // private
  std::thread attacker([&] {
    Random random(9);
    std::vector<Target> targets = targetsOf(*log.region(), 1, other);
    const std::vector<Target> more = targetsOf(*log.region(), 2, other);
    targets.insert(targets.end(), more.begin(), more.end());
    Reckless reckless(log, other, 10);
    while (!done.load()) {
      for (int i = 0; i < 8; i += 1) reckless.act();
      for (uint64_t i = random.below(4); i != 0; i -= 1) hit(targets, random);
    }
  });
  const uint64_t started = nowNanos();
  for (uint64_t sequence = 0; sequence < 20'000 && nowNanos() - started < 4'000'000'000;) {
    if (honest.publish(sequence % 2, sequence)) sequence += 1;
    following.take();
    if (sequence % 32 == 0) log.sequencer().endDead();
  }
  done.store(true);
  attacker.join();
  until("the honest session is wholly read", [&] {
    following.take();
    return following.batches() == honest.lanes().committedBatches() && honest.lanes().inFlight(0) < 8;
  });
  CHECK(following.batches() > 1000 / slowness);
  CHECK_EQUAL(honest.lanes().endReason(), endNone);
}

TEST("random bytes anywhere in the region, payload aside, never crash a process or lead outside it") {
  for (uint64_t round = 0; round < 40; round += 1) {
    Random random(400 + round);
    Geometry g = tinyGeometry();
    g.clients = 3;
    TestLog log(g);
    uint32_t topics[2] = {log.declare("a", orderSession), log.declare("b", orderTotal)};
    Reckless clients[] = {{log, topics[0], 500 + round}, {log, topics[1], 600 + round}, {log, topics[0], 700 + round}};
    const std::vector<Target> all = {{log.region()->mapping()->base(), log.region()->layout().payload}};
    const std::vector<Target> head = {{log.region()->mapping()->base(), log.region()->layout().descriptors}};
    for (uint64_t turn = 0; turn < 6000 / slowness; turn += 1) {
      clients[random.below(3)].act();
      if (random.oneIn(2)) log.sequencer().step();
      if (random.oneIn(4)) hit(random.oneIn(2) ? all : head, random);
      if (!random.oneIn(32)) continue;
      log.sequencer().endDead();
      log.sequencer().sessions();
      log.sequencer().gates();
      topicsOf(*log.region());
      log.region()->processes();
      serverState(*log.region());
      TopicView topic;
      declareTopic(*log.region(), std::to_string(turn), orderTotal, 1, topic);
    }
  }
}

}  // namespace

}  // namespace ringfence::test
