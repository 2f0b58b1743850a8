// Order `none`: readers scan the lanes, and the sequencer gives room and sessions back behind them. A kill or
// a stop between two stores of the one or the other loses no attached reader a batch, and overwrites no lent one.
#include <signal.h>

#include "lane_fixture.h"
#include "steps.h"

namespace ringfence::test {

namespace {

constexpr uint32_t slots = 8;  // of a lane, in tinyGeometry()

struct Scene {
  explicit Scene(std::shared_ptr<Region> region = anonymousRegion(tinyGeometry()))
      : log(std::move(region), TestLog::manual()), topic{log.declare("t", orderNone), 1} {}

  std::unique_ptr<LaneFollowing> reader(From from = From::start) {
    return LaneFollowing::attached(log.region(), topic, from);
  }
  Publishing session() { return Publishing(log.open(topic.index)); }
  void settle() { log.settle(); }

  TestLog log;
  TopicPlace topic;
};

// Publishes on one broker until the lane is full, and returns the next sequence.
uint64_t fill(Publishing& publishing, uint32_t broker, uint64_t sequence) {
  while (publishing.publish(broker, sequence)) sequence += 1;
  return sequence;
}

// Whether the sequences are the last of those below `end`, whole.
bool lastOf(const std::vector<uint64_t>& taken, uint64_t end) {
  for (uint64_t i = 0; i < taken.size(); i += 1) {
    if (taken[i] != end - taken.size() + i) return false;
  }
  return true;
}

TEST("a lane's batches reach its readers without the sequencer, in order, over many laps") {
  Scene scene;
  Publishing publishing = scene.session();
  const auto first = scene.reader();
  const auto second = scene.reader();
  for (uint64_t sequence = 0; sequence < 300; sequence += 1) {
    CHECK(publishing.publish(0, sequence));
    CHECK_EQUAL(first->take(8), 1);
    CHECK_EQUAL(second->take(8), 1);
    if (sequence % 4 == 3) scene.settle();
  }
  CHECK_EQUAL(first->taken(publishing.session(), 0).size(), 300);
  CHECK_EQUAL(second->count(), 300);
  CHECK(first->wrong == nullptr && second->wrong == nullptr);
  CHECK_EQUAL(publishing.lanes().committedBatches(), 0);
  CHECK_EQUAL(scene.log.sequencer().counters().batches, 0);
}

TEST("readers take one batch of each lane in turn, by client and broker") {
  Scene scene;
  Publishing a = scene.session(), b = scene.session();
  const auto reader = scene.reader();
  for (uint64_t sequence = 0; sequence < 4; sequence += 1) {
    for (const uint32_t broker : {1U, 0U}) {
      CHECK(b.publish(broker, 2 * sequence + broker));
      CHECK(a.publish(broker, 2 * sequence + broker));
    }
  }
  BatchView views[16];
  CHECK_EQUAL(reader->reader().poll(views, 3), 3);
  CHECK_EQUAL(reader->reader().poll(views + 3, 13), 13);
  for (uint32_t i = 0; i < 16; i += 1) {
    CHECK_EQUAL(views[i].sessionId, (i % 4 < 2 ? a : b).session());
    CHECK_EQUAL(views[i].batchSequence, 2 * (i / 4) + i % 2);
  }
}

TEST("without readers a lane keeps its newest batches; a reader holds all from where it begins") {
  Scene scene;
  Publishing publishing = scene.session();
  for (uint64_t sequence = 0; sequence < 100; sequence += 1) {
    CHECK(publishing.publish(0, sequence));
    scene.settle();
  }
  const auto start = scene.reader();
  const auto end = scene.reader(From::end);
  const uint64_t next = fill(publishing, 0, 100);
  for (int i = 0; i < 4; i += 1) scene.settle();
  CHECK_EQUAL(fill(publishing, 0, next), next);
  CHECK_EQUAL(scene.log.sequencer().gates().size(), 1);
  CHECK(start->take(64) > 0);
  CHECK_EQUAL(end->take(64), static_cast<int32_t>(next - 100));
  CHECK(lastOf(start->taken(publishing.session(), 0), next) && start->taken(publishing.session(), 0).size() >= 2);
  scene.settle();
  CHECK(fill(publishing, 0, next) > next);
  CHECK(start->wrong == nullptr && end->wrong == nullptr);
}

TEST("a session that has closed ends once its readers have taken it, and not before") {
  Scene scene;
  Publishing publishing = scene.session();
  const auto reader = scene.reader();
  for (uint64_t sequence = 0; sequence < 6; sequence += 1) CHECK(publishing.publish(sequence % 2, sequence));
  publishing.lanes().close();
  scene.settle();
  CHECK_EQUAL(publishing.lanes().endReason(), endNone);
  CHECK_EQUAL(reader->take(64, true), 6);
  scene.settle();
  CHECK_EQUAL(publishing.lanes().endReason(), endNone);
  reader->giveBack();
  scene.settle();
  CHECK_EQUAL(publishing.lanes().endReason(), endClosed);
  CHECK(reader->wrong == nullptr);
}

// --- damaged sessions

// A session of which a descriptor of broker 0 is damaged, with batches behind the damage. The region has one more slot.
struct Damaged {
  Damaged() : keeper(scene.session()), publishing(scene.session()) {}
  void publish() {
    for (uint64_t sequence = 0; sequence < 6; sequence += 1) CHECK(publishing.publish(sequence % 2, sequence));
  }
  void damage(uint64_t index) {
    auto& descriptor = scene.log.region()->descriptor(publishing.lanes().laneOf(0), index);
    reinterpret_cast<uint64_t*>(&descriptor)[3] ^= 1;  // firstMessage
  }
  bool over() { return sessionOver(*scene.log.region(), slot(), publishing.lanes().claim().generation); }
  uint32_t slot() { return publishing.lanes().claim().slot; }
  std::string faultOfNext() {
    Claim claim;
    return plain(claimClient(*scene.log.region(), scene.topic, claim).fault);
  }
  // The slot's next session uses all of its lanes, in several laps.
  void nextSession(LaneFollowing& reader) {
    Publishing next = scene.session();
    CHECK_EQUAL(next.lanes().claim().slot, slot());
    for (uint64_t sequence = 0; sequence < 4 * slots; sequence += 1) {
      CHECK(next.publish(static_cast<uint32_t>(sequence % 2), sequence));
      CHECK_EQUAL(reader.take(64), 1);
      scene.settle();
    }
    CHECK(reader.wrong == nullptr);
  }

  Scene scene;
  Publishing keeper;
  Publishing publishing;
};

TEST("a damaged session keeps its lanes for what its readers still hold, also behind the damage") {
  Damaged session;
  Scene& scene = session.scene;
  const auto reader = scene.reader();
  session.publish();
  CHECK_EQUAL(reader->take(64, true), 6);
  session.damage(0);
  scene.settle();
  CHECK_EQUAL(session.publishing.lanes().endReason(), endCorrupt);
  session.publishing.lanes().close();
  scene.settle();
  CHECK(!session.over());
  CHECK_EQUAL(session.faultOfNext(), "full");
  CHECK_EQUAL(scene.log.sequencer().gates().size(), 1);
  CHECK_EQUAL(reader->take(64, true), 0);
  scene.settle();
  CHECK(!session.over() && reader->wrong == nullptr);
  reader->giveBack();
  scene.settle();
  CHECK(session.over());
  session.nextSession(*reader);
}

TEST("of a damaged session every reader takes what its lanes hold ahead of the damage, also one that comes late") {
  Damaged session;
  Scene& scene = session.scene;
  const auto first = scene.reader();
  session.publish();
  session.damage(1);
  scene.settle();
  const auto late = scene.reader();
  const uint64_t id = session.publishing.session();
  for (LaneFollowing* reader : {first.get(), late.get()}) {
    CHECK(!session.over());
    CHECK_EQUAL(reader->take(64), 4);
    CHECK_EQUAL(reader->taken(id, 0).size(), 1);
    CHECK_EQUAL(reader->taken(id, 1).size(), 3);
    CHECK_EQUAL(reader->take(64), 0);
    scene.settle();
  }
  CHECK(session.over());
  session.publishing.lanes().close();
  late->reader().detach();
  session.nextSession(*first);
}

TEST("a reader that goes or dies does not keep a damaged session, nor does one whose word that it has left is damaged") {
  Damaged session;
  Scene& scene = session.scene;
  const auto gone = scene.reader();
  const auto reader = scene.reader();
  session.publish();
  session.damage(0);
  scene.settle();
  gone->reader().detach();
  CHECK_EQUAL(reader->take(64), 3);
  CHECK_EQUAL(reader->take(64), 0);
  auto& cursor = scene.log.region()->laneCursor(scene.topic.index, 1, session.publishing.lanes().laneOf(1));
  reinterpret_cast<uint64_t*>(&cursor)[2] += 1;  // leftGeneration
  scene.settle();
  CHECK(!session.over());
  CHECK_EQUAL(reader->take(64), 0);
  scene.settle();
  CHECK(session.over());
}

// --- between any two stores

// A lane that the sequencer is about to release a part of, and a reader that comes meanwhile.
void comeWhileReleasing(bool readerWorks, From from) {
  uint64_t attached = 0;
  for (uint64_t step = 0, met = 1; met != 0; step += 1) {
    Scene scene;
    Publishing publishing = scene.session();
    for (uint64_t sequence = 0; sequence < 7; sequence += 1) CHECK(publishing.publish(0, sequence));
    std::unique_ptr<LaneFollowing> reader;
    const auto come = [&] { reader = scene.reader(from); };
    const auto release = [&] { scene.log.sequencer().step(); };
    met = (readerWorks ? interleaved(step, come, release) : interleaved(step, release, come)) ? 1 : 0;
    if (reader == nullptr) come();
    CHECK(reader != nullptr);
    attached += met;
    uint64_t next = 7;
    for (int i = 0; i < 3; i += 1) {
      scene.settle();
      next = fill(publishing, 0, next);
      CHECK(reader->take(64, i == 0) >= 0);
    }
    const std::vector<uint64_t>& taken = reader->taken(publishing.session(), 0);
    CHECK(lastOf(taken, next) && taken.size() >= next - 7);
    CHECK(reader->wrong == nullptr);
    reader->giveBack();
    scene.settle();
    CHECK(fill(publishing, 0, next) > next);
  }
  CHECK(attached > 3);
}

TEST("a reader that comes between any two stores of the sequencer's release keeps all from where it begins") {
  for (const From from : {From::start, From::end}) comeWhileReleasing(false, from);
}

TEST("the sequencer releases between any two stores of a reader's opening, and nothing that the reader needs") {
  for (const From from : {From::start, From::end}) comeWhileReleasing(true, from);
}

// A session that is about to end, and a reader that comes meanwhile. Its lanes then go to a session of another topic,
// which has a reader in the same slot.
void comeWhileEnding(bool readerWorks) {
  uint64_t late = 0, inTime = 0;
  for (uint64_t step = 0, met = 1; met != 0; step += 1) {
    Scene scene;
    const TopicPlace other{scene.log.declare("other", orderNone), 1};
    Publishing keeper(scene.log.open(other.index));  // takes the other of two session slots
    uint64_t session = 0;
    std::unique_ptr<LaneFollowing> reader;
    {
      Publishing publishing = scene.session();
      session = publishing.session();
      for (uint64_t sequence = 0; sequence < 6; sequence += 1) CHECK(publishing.publish(0, sequence));
      publishing.lanes().close();
      const auto come = [&] { reader = scene.reader(); };
      const auto end = [&] { scene.settle(); };
      met = (readerWorks ? interleaved(step, come, end) : interleaved(step, end, come)) ? 1 : 0;
      if (reader == nullptr) come();
    }
    CHECK(reader != nullptr);
    CHECK(reader->take(64) >= 0);
    const std::vector<uint64_t>& taken = reader->taken(session, 0);
    CHECK(taken.empty() || (taken.size() == 6 && lastOf(taken, 6)));
    (taken.empty() ? late : inTime) += 1;
    scene.settle();
    Publishing next(scene.log.open(other.index));
    const auto second = LaneFollowing::attached(scene.log.region(), other, From::start);
    CHECK(second != nullptr);
    uint64_t sequence = 0;
    for (int i = 0; i < 6; i += 1) {
      sequence = fill(next, 0, sequence);
      CHECK(second->take(64) > 0);
      CHECK_EQUAL(reader->take(64), 0);
      scene.settle();
    }
    CHECK_EQUAL(second->taken(next.session(), 0).size(), sequence);
    CHECK(sequence > 2 * slots && reader->wrong == nullptr && second->wrong == nullptr);
  }
  CHECK(late > 3 && inTime > 0);
}

TEST("a reader that comes between any two stores of a session's end takes all of it, or nothing, and harms no later one") {
  comeWhileEnding(false);
}

TEST("a session ends between any two stores of a reader's opening: the reader takes all of it, or nothing") {
  comeWhileEnding(true);
}

// The slot's next session is of a topic whose reader has a place of the same number.
TEST("a session without batches ends between any two stores of its reader's entering it, which harms no later reader") {
  uint64_t inTime = 0;
  for (uint64_t step = 0, met = 1; met != 0; step += 1) {
    Scene scene;
    const TopicPlace other{scene.log.declare("other", orderNone), 1};
    Publishing keeper(scene.log.open(other.index));
    const auto one = scene.reader();
    const auto two = LaneFollowing::attached(scene.log.region(), other, From::start);
    Publishing former = scene.session();
    std::unique_ptr<Publishing> next;
    uint64_t sequence = 0;
    const auto enter = [&] { CHECK_EQUAL(one->take(64), 0); };
    const auto follow = [&] {
      former.lanes().close();
      scene.settle();
      next = std::make_unique<Publishing>(scene.log.open(other.index));
      CHECK_EQUAL(next->lanes().claim().slot, former.lanes().claim().slot);
      sequence = fill(*next, 0, 0);
      CHECK_EQUAL(two->take(64), static_cast<int32_t>(sequence));
    };
    met = interleaved(step, enter, follow) ? 1 : 0;
    inTime += met;
    if (next == nullptr) follow();
    for (int i = 0; i < 3; i += 1) {
      scene.settle();
      const uint64_t before = sequence;
      sequence = fill(*next, 0, before);
      CHECK(sequence > before);
      CHECK_EQUAL(two->take(64), static_cast<int32_t>(sequence - before));
    }
    CHECK(two->wrong == nullptr);
  }
  CHECK(inTime > 3);
}

TEST("a session is adopted between any two stores of a reader's opening, or the other way: none of it is missed") {
  for (const bool readerWorks : {false, true}) {
    for (uint64_t step = 0, met = 1; met != 0; step += 1) {
      Scene scene;
      const Claim claim = scene.log.claim(scene.topic.index);
      std::unique_ptr<LaneFollowing> reader;
      const auto come = [&] { reader = scene.reader(From::start); };
      const auto adopt = [&] { scene.settle(); };
      met = (readerWorks ? interleaved(step, come, adopt) : interleaved(step, adopt, come)) ? 1 : 0;
      if (reader == nullptr) come();
      Publishing publishing(scene.log.admit(claim));
      uint64_t next = 0;
      for (int i = 0; i < 4; i += 1) {
        next = fill(publishing, 1, next);
        CHECK(reader->take(64) > 0);
        scene.settle();
      }
      CHECK_EQUAL(reader->taken(publishing.session(), 1).size(), next);
      CHECK(next > slots && reader->wrong == nullptr);
    }
  }
}

// --- processes that are killed or stopped between any two stores

class Files {
 public:
  std::string make() {
    scene_.reset();
    CreateOptions options;
    options.path = scratchFolder() + "/region-" + std::to_string(made_ += 1);
    options.geometry = tinyGeometry();
    options.processName = "server";
    options.prefault = false;
    std::shared_ptr<Region> region;
    CHECK_EQUAL(Region::create(options, nullptr, region).fault, "none");
    scene_ = std::make_unique<Scene>(region);
    return options.path;
  }
  Scene& scene() { return *scene_; }

 private:
  uint64_t made_ = 0;
  std::unique_ptr<Scene> scene_;
};

bool reads(const std::shared_ptr<Region>& region) {
  const auto reader = LaneFollowing::attached(region, {0, 1}, From::start);
  if (reader == nullptr || reader->take(2) != 2 || reader->take(2) != 2) return false;
  reader->reader().detach();
  return reader->wrong == nullptr;
}

TEST("a reader that is killed anywhere in its opening, reading and releasing holds nothing, and others miss nothing") {
  Files files;
  std::unique_ptr<Publishing> publishing;
  std::unique_ptr<LaneFollowing> other;
  const auto make = [&] {
    publishing.reset();
    other.reset();
    std::string path = files.make();
    publishing = std::make_unique<Publishing>(files.scene().session());
    other = files.scene().reader();
    for (uint64_t sequence = 0; sequence < 5; sequence += 1) CHECK(publishing->publish(0, sequence));
    files.scene().settle();
    return path;
  };
  atEachStep(SIGKILL, reads, make, [&](Victim&) {
    Scene& scene = files.scene();
    scene.log.sequencer().endDead();
    uint64_t next = 5;
    for (int i = 0; i < 4; i += 1) {
      next = fill(*publishing, 0, next);
      other->take(64);
      scene.settle();
    }
    CHECK(next > 2 * slots);
    CHECK_EQUAL(other->taken(publishing->session(), 0).size(), next);
    CHECK(other->wrong == nullptr);
    publishing->lanes().close();
    scene.settle();
    CHECK_EQUAL(publishing->lanes().endReason(), endClosed);
  });
}

TEST("a reader that is stopped anywhere holds what it has not released, and goes on where it was") {
  Files files;
  std::unique_ptr<Publishing> publishing;
  const auto make = [&] {
    publishing.reset();
    std::string path = files.make();
    publishing = std::make_unique<Publishing>(files.scene().session());
    for (uint64_t sequence = 0; sequence < 5; sequence += 1) CHECK(publishing->publish(0, sequence));
    files.scene().settle();
    return path;
  };
  atEachStep(SIGSTOP, reads, make, [&](Victim& victim) {
    uint64_t next = 5;
    for (int i = 0; i < 4; i += 1) {
      next = fill(*publishing, 0, next);
      files.scene().settle();
    }
    // Before it is attached it holds nothing: then it begins with what is kept when it goes on, four batches or more.
    CHECK(victim.goOn());
  });
}

}  // namespace

}  // namespace ringfence::test
