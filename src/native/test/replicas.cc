// Readers of replicas: what counts as durable, what damage and half-written lines cannot make so, and what is kept for them.
#include <vector>

#include "log/identities.h"
#include "log/lapped_reader.h"
#include "log/replicas.h"
#include "log_fixture.h"
#include "raw_line.h"
#include "region/token.h"

namespace ringfence::test {

namespace {

struct Scene {
  explicit Scene(SequencerOptions options = TestLog::manual()) : log(tinyGeometry(), options) {
    TopicView topic;
    CHECK_EQUAL(declareTopic(*log.region(), "t", orderSession, ackDurable, topic).fault, "none");
    publishing = std::make_unique<Publishing>(log.open(0));
  }

  void publish(uint64_t batches) {
    for (uint64_t i = 0; i < batches; i += 1) {
      CHECK(publishing->publish(sequence % 2, sequence));
      sequence += 1;
      log.settle();
    }
  }

  // Until there is no room. Returns how many there were in all.
  uint64_t fill() {
    while (publishing->publish(sequence % 2, sequence)) {
      sequence += 1;
      log.settle();
    }
    return sequence;
  }

  Status attach(ReplicaRole role, uint64_t position, std::unique_ptr<IndexReader>& reader) {
    Claim claim;
    CHECK_EQUAL(claimReader(*log.region(), log.placeOf(0), "replica", claim).fault, "none");
    slot = claim.slot;
    reader = std::make_unique<IndexReader>(log.region(), 0, claim, 0, ReaderKind{role, false});
    return reader->attach(From::position, position);
  }

  std::unique_ptr<IndexReader> replica(ReplicaRole role = {1, 1}, uint64_t position = 0) {
    std::unique_ptr<IndexReader> reader;
    CHECK_EQUAL(attach(role, position, reader).fault, "none");
    return reader;
  }

  static void sync(IndexReader& reader, uint64_t batches) {
    BatchView view{};
    while (reader.next() < batches) CHECK_EQUAL(reader.poll(&view, 1), 1);
    reader.release(batches);
  }

  // -1: none.
  int64_t durable() const {
    const auto entries = durabilityOf(*log.region(), 0).entries;
    return entries ? static_cast<int64_t>(*entries) : -1;
  }

  uint64_t trim() const { return RawLine::of(log.region()->topicLine(epoch, 0).retention).trim; }
  ReaderLine& line() { return RawLine::of(log.region()->reader(0, slot).line); }

  TestLog log;
  std::unique_ptr<Publishing> publishing;
  uint64_t sequence = 0;
  uint64_t epoch = 1;
  uint32_t slot = 0;
};

TEST("what a replica has released is durable; readers of one key count once, and no missing one is made up for") {
  Scene scene;
  scene.publish(6);
  CHECK_EQUAL(scene.durable(), -1);
  const auto first = scene.replica({1, 2});
  Scene::sync(*first, 5);
  CHECK_EQUAL(scene.durable(), -1);
  const auto again = scene.replica({1, 2});
  Scene::sync(*again, 6);
  CHECK_EQUAL(scene.durable(), -1);
  auto second = scene.replica({2, 2});
  CHECK_EQUAL(scene.durable(), 0);
  Scene::sync(*second, 3);
  CHECK_EQUAL(scene.durable(), 3);
  const auto third = scene.replica({3, 2});
  Scene::sync(*third, 4);
  CHECK_EQUAL(scene.durable(), 4);
  second->detach();
  third->detach();
  CHECK_EQUAL(scene.durable(), -1);
}

TEST("a session keeps what it has seen durable, and its commit point covers its prefix") {
  Scene scene;
  scene.publish(4);
  LaneWriter& lanes = scene.publishing->lanes();
  CHECK(!lanes.durableEntries());
  CHECK_EQUAL(lanes.committedBatches(), 4);
  CHECK_EQUAL(lanes.commitPoint().value_or(0), 4);
  {
    const auto replica = scene.replica();
    Scene::sync(*replica, 3);
    CHECK_EQUAL(lanes.durableEntries().value_or(0), 3);
  }
  CHECK_EQUAL(scene.durable(), -1);
  CHECK_EQUAL(lanes.durableEntries().value_or(0), 3);
}

TEST("neither damage to a replica's line nor half of it makes anything durable") {
  Scene scene;
  scene.publish(10);
  const auto replica = scene.replica();
  Scene::sync(*replica, 4);
  const ReaderLine whole = scene.line();
  for (uint64_t random = 1; random < 200; random += 1) {
    const uint64_t damages[] = {whole.cursor + random % 7 + 1, mix64(random), 0, ~uint64_t{0}};
    for (const uint64_t damage : damages) {
      scene.line().cursor = damage;
      CHECK(scene.durable() == -1 || scene.durable() == 4);
      scene.line() = whole;
      scene.line().replicasRequired = damage;
      CHECK(scene.durable() == -1 || scene.durable() == 4);
      scene.line() = whole;
      scene.line().syncedSeal = damage;
      CHECK(scene.durable() == -1 || scene.durable() == 4);
      scene.line() = whole;
    }
  }
  CHECK_EQUAL(scene.durable(), 4);
}

TEST("a reader that is refused its position was never a replica, and neither is the next one in its place") {
  Scene scene;
  auto ahead = scene.replica({1, 1});
  for (int i = 0; i < 100; i += 1) {
    scene.publish(1);
    Scene::sync(*ahead, scene.sequence);
    scene.log.settle();
  }
  CHECK(scene.trim() > 10);
  CHECK_EQUAL(scene.durable(), 100);
  std::unique_ptr<IndexReader> lapped;
  CHECK_EQUAL(scene.attach({2, 2}, firstMessageOf(10), lapped).fault, "trimmed");
  CHECK_EQUAL(scene.line().syncedSeal, 0);  // not even for a moment: its cursor was the trim frontier
  CHECK_EQUAL(scene.durable(), 100);
  const uint32_t place = scene.slot;
  {
    const auto joined = scene.replica({2, 1}, firstMessageOf(100));
    CHECK_EQUAL(scene.slot, place);
  }
  const auto subscriber = scene.log.reader(0, From::end);
  CHECK_EQUAL(scene.durable(), 100);
  ahead->detach();
  CHECK_EQUAL(scene.durable(), -1);
}

TEST("nothing is trimmed that no replica has had, with and without one, and across servers") {
  Scene scene;
  scene.publish(3);
  {
    const auto replica = scene.replica();
    Scene::sync(*replica, 2);
    scene.log.settle();
  }
  const uint64_t full = scene.fill();
  CHECK(scene.trim() <= 2);
  CHECK_EQUAL(RawLine::of(scene.log.region()->topicLine(1, 0).retention).unreplicated, 1);
  scene.log.restart(TestLog::manual());
  scene.epoch = 2;
  CHECK_EQUAL(scene.fill(), full);
  CHECK(scene.trim() <= 2);
  const auto replica = scene.replica({1, 1}, firstMessageOf(2));
  Scene::sync(*replica, full);
  scene.log.settle();
  CHECK(scene.fill() > full);
}

TEST("what a replica had is trimmed after it has left, as far as this server has seen it") {
  Scene scene;
  uint64_t filled = 0;
  {
    const auto replica = scene.replica();
    filled = scene.fill();
    Scene::sync(*replica, filled);
    CHECK_EQUAL(scene.trim(), 0);
    scene.log.settle();
  }
  const uint64_t more = scene.fill();
  CHECK(more > filled);
  CHECK(scene.trim() <= filled);
}

TEST("a restored topic begins at its base, also in a place that was another's, and keeps it across servers") {
  for (const bool reused : {false, true}) {
    Geometry g = tinyGeometry();
    g.topics = 1;
    TestLog log(g);
    TopicView topic;
    if (reused) {
      log.declare("a", orderSession);
      {
        Publishing former(log.open(0));
        for (uint64_t i = 0; i < 5; i += 1) {
          CHECK(former.publish(i % 2, i));
          log.settle();
        }
        former.lanes().close();
        log.settle();
      }
      TopicWish wish;
      CHECK_EQUAL(declareTopic(*log.region(), "t", orderSession, ackDurable, topic, &wish).fault, "wished");
      log.settle();
    }
    const uint64_t nanos = uint64_t{1} << 62;
    CHECK_EQUAL(restoreTopic(*log.region(), "t", orderSession, ackDurable, {1000, 3000, nanos}, topic).fault, "none");
    CHECK_EQUAL(restoreTopic(*log.region(), "t", orderSession, ackDurable, {1000, 3000, nanos}, topic).fault, "invalid");
    IdentityView identity;
    CHECK_EQUAL(restoreIdentity(*log.region(), topic.place(), "i", 70, identity).fault, "none");
    CHECK_EQUAL(restoreIdentity(*log.region(), topic.place(), "i", 70, identity).fault, "invalid");
    // Ahead of the adoption.
    const auto early = log.reader(0, From::start);
    CHECK_EQUAL(early->committedMessages(), 3000);
    Claim place;
    CHECK_EQUAL(claimReader(*log.region(), topic.place(), "lapped", place).fault, "none");
    LappedReader lapped(log.region(), 0, place, 0);
    CHECK(lapped.attach(From::start, 0).ok());
    CHECK_EQUAL(lapped.position(), 3000);
    log.settle();
    Claim claim;
    CHECK_EQUAL(claimClient(*log.region(), topic.place(), claim, {identity.index, identity.generation, 0}).fault, "none");
    Publishing publishing(log.admit(claim));
    CHECK_EQUAL(publishing.lanes().incarnation().base, 70);
    for (uint64_t i = 0; i < 3; i += 1) {
      CHECK(publishing.publish(i % 2, i));
      log.settle();
      log.restart(TestLog::manual());
    }
    const auto late = log.reader(0, From::position, 3000);
    for (IndexReader* reader : {early.get(), late.get()}) {
      BatchView views[4];
      CHECK_EQUAL(reader->poll(views, 4), 3);
      for (uint64_t i = 0; i < 3; i += 1) {
        CHECK_EQUAL(views[i].index, 1000 + i);
        CHECK_EQUAL(views[i].position, 3000 + firstMessageOf(i));
        CHECK_EQUAL(views[i].identity, identity.index + 1);
        CHECK_EQUAL(views[i].identityRecord, 70 + firstMessageOf(i));
        CHECK_EQUAL(views[i].incarnation, 1);
        CHECK(views[i].orderedNanos >= nanos);
      }
    }
    BatchView copied[4];
    std::vector<uint8_t> bytes(4 * g.batchBytes);
    CHECK_EQUAL(lapped.copy(copied, 4, bytes.data(), bytes.size()), 3);
    CHECK_EQUAL(copied[0].position, 3000);
  }
}

TEST("as many replicas as a server was told must have a record, also under its successors, until one is told another number") {
  const auto told = [](uint32_t copies, uint32_t ownReplicas) {
    SequencerOptions options = TestLog::manual();
    options.copies = copies;
    options.ownReplicas = ownReplicas;
    return options;
  };
  Scene scene(told(2, 0));
  const Region& region = *scene.log.region();
  const auto required = [&] { return durabilityOf(region, 0).required; };
  CHECK_EQUAL(required(), 2);
  std::unique_ptr<IndexReader> first;
  CHECK(scene.attach({1, 1}, 0, first).ok());
  CHECK_EQUAL(required(), 2);
  CHECK(!durabilityOf(region, 0).entries);
  scene.log.restart(told(0, 1));
  CHECK_EQUAL(required(), 2);
  scene.log.restart(told(0, 3));
  CHECK_EQUAL(required(), 3);
  scene.log.restart(told(1, 3));
  CHECK_EQUAL(required(), 1);
  CHECK(durabilityOf(region, 0).entries.has_value());
  scene.log.restart(told(0, 0));
  CHECK_EQUAL(required(), 1);
}

TEST("where the number of copies is damaged nothing is durable until the sequencer has written it again") {
  SequencerOptions options = TestLog::manual();
  options.copies = 1;
  Scene scene(options);
  const Region& region = *scene.log.region();
  std::unique_ptr<IndexReader> replica;
  CHECK(scene.attach({1, 1}, 0, replica).ok());
  auto& service = RawLine::of(scene.log.region()->blockHead(headsOf(region).served.number).service);
  service.copies = 0;
  CHECK(durabilityOf(region, 0).entries.has_value());
  service.copiesAgain = 0;
  CHECK(!durabilityOf(region, 0).entries);
  service.copiesAgain = copiesWordOf(1);
  CHECK(durabilityOf(region, 0).entries.has_value());
}

}  // namespace

}  // namespace ringfence::test
