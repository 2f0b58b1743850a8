// A topic is freed while readers, sessions and declarers arrive, are stopped, killed or overtaken at any step: each has
// the topic that it opened, or is told that it is gone.
#include <signal.h>

#include <thread>

#include "steps.h"
#include "topic_fixture.h"

namespace ringfence::test {

namespace {

// --- readers that come while a topic is freed ---

TEST("a reader that comes between any two steps of the sequencer's freeing keeps its topic, or is told that it is gone") {
  uint64_t kept = 0, gone = 0;
  for (uint64_t step = 0, met = 1; met != 0; step += 1) {
    Freeing scene(anonymousRegion(Freeing::geometry()));
    Claim claim;
    Status status;
    const auto come = [&] { status = claimReader(*scene.log.region(), {0, 1}, "reader", claim); };
    met = interleaved(step, [&] { scene.log.sequencer().step(); }, come) ? 1 : 0;
    if (met == 0) break;
    if (status.ok()) {
      kept += 1;
      scene.expectOne(status, claim);
    } else {
      // Also when the sequencer saw the claim and took back the freeing: the reader then finds the topic again.
      CHECK_EQUAL(status.fault, "gone");
      gone += 1;
      TopicView again;
      if (declareTopic(*scene.log.region(), "a", orderSession, 1, again).ok()) {
        CHECK_EQUAL(claimReader(*scene.log.region(), again.place(), "reader", claim).fault, "none");
      } else {
        CHECK_EQUAL(namesIn(*scene.log.region()), "b");
      }
    }
  }
  CHECK(kept > 0 && gone > 3);
}

TEST("the sequencer frees between any two steps of a reader's claim, or sees that claim") {
  uint64_t kept = 0, gone = 0;
  for (uint64_t step = 0, met = 1; met != 0; step += 1) {
    Freeing scene(anonymousRegion(Freeing::geometry()));
    Claim claim;
    Status status;
    const auto come = [&] { status = claimReader(*scene.log.region(), {0, 1}, "reader", claim); };
    met = interleaved(step, come, [&] { scene.log.settle(); }) ? 1 : 0;
    scene.expectOne(status, claim);
    kept += status.ok() ? 1 : 0;
    gone += status.ok() ? 0 : 1;
  }
  CHECK(kept > 0 && gone > 3);
}

// True when the session was adopted; otherwise checks that its topic was freed, and its client told so.
bool expectSession(Freeing& scene, const Claim& claim) {
  scene.log.settle();
  for (uint32_t b = 0; b < scene.log.geometry().brokers; b += 1) grantLanes(*scene.log.region(), b);
  const Status status = declareTopic(*scene.log.region(), "b", orderSession, 1, scene.topic, &scene.wish);
  CHECK_EQUAL(status.fault, status.ok() ? "none" : "full");
  LaneWriter writer(scene.log.region(), claim);
  CHECK(writer.ready() != status.ok());
  CHECK_EQUAL(writer.endReason(), status.ok() ? endTopicGone : endNone);
  return !status.ok();
}

TEST("a session that is asked for between any two steps of the freeing, or in which it falls, is one or is told") {
  uint64_t gone = 0, kept = 0, within = 0;
  for (uint64_t step = 0, met = 1; met != 0; step += 1) {
    Freeing scene(anonymousRegion(Freeing::geometry()));
    Claim claim;
    const auto come = [&] { CHECK_EQUAL(claimClient(*scene.log.region(), {0, 1}, claim).fault, "none"); };
    met = interleaved(step, [&] { scene.log.sequencer().step(); }, come) ? 1 : 0;
    if (met != 0 && !expectSession(scene, claim)) gone += 1;
  }
  for (uint64_t step = 0, met = 1; met != 0; step += 1) {
    Freeing scene(anonymousRegion(Freeing::geometry()));
    Claim claim;
    const auto come = [&] { CHECK_EQUAL(claimClient(*scene.log.region(), {0, 1}, claim).fault, "none"); };
    met = interleaved(step, come, [&] { scene.log.settle(); }) ? 1 : 0;
    (expectSession(scene, claim) ? kept : within) += 1;
  }
  CHECK(gone > 3 && kept > 0 && within > 3);
}

// --- processes that are stopped or killed ---

class Places {
 public:
  std::string make() {
    freeing_.reset();
    CreateOptions options;
    options.path = scratchFolder() + "/region-" + std::to_string(made_ += 1);
    options.geometry = Freeing::geometry();
    options.processName = "server";
    options.prefault = false;
    std::shared_ptr<Region> region;
    CHECK_EQUAL(Region::create(options, nullptr, region).fault, "none");
    freeing_ = std::make_unique<Freeing>(region);
    return options.path;
  }
  std::string makeFreed() {
    std::string path = make();
    log().settle();
    CHECK_EQUAL(namesIn(*log().region()), "");
    return path;
  }
  Freeing& freeing() { return *freeing_; }
  TestLog& log() { return freeing_->log; }

 private:
  uint64_t made_ = 0;
  std::unique_ptr<Freeing> freeing_;
};

bool claimsReader(const std::shared_ptr<Region>& region) {
  Claim claim;
  return claimReader(*region, {0, 1}, "victim", claim).ok();
}

bool declaresNext(const std::shared_ptr<Region>& region) {
  TopicView topic;
  return declareTopic(*region, "next", orderSession, 1, topic).ok();
}

bool wishes(const std::shared_ptr<Region>& region) {
  TopicView topic;
  TopicWish wish;
  return plain(declareTopic(*region, "next", orderSession, 1, topic, &wish).fault) == "wished";
}

// Checks that the topic can be used, and its place reused after it. First lets a pending wish be answered: the answer
// could take this topic's place before it has a session.
void expectUsable(TestLog& log, const std::string& name) {
  log.settle();
  TopicView topic;
  CHECK_EQUAL(declared(log, name, topic).fault, "none");
  CHECK_EQUAL(namesIn(*log.region()), name);
  log.settle();
  publishTo(log, topic.index, 1);
  Following following(log, log.reader(topic.index, From::start), orderSession);
  CHECK_EQUAL(following.index(), 0);
  CHECK_EQUAL(following.take(8), 1);
}

TEST("a reader that is stopped anywhere in its claim while its topic is freed keeps it, or is told when it goes on") {
  Places scene;
  uint64_t kept = 0, gone = 0;
  atEachStep(SIGSTOP, claimsReader, [&] { return scene.make(); }, [&](Victim& victim) {
    scene.log().settle();
    Freeing& freeing = scene.freeing();
    const Status status = declareTopic(*scene.log().region(), "b", orderSession, 1, freeing.topic, &freeing.wish);
    CHECK_EQUAL(status.fault, status.ok() ? "none" : "full");
    CHECK(victim.goOn() != status.ok());
    (status.ok() ? gone : kept) += 1;
  });
  CHECK(kept > 0 && gone > 3);
}

TEST("a reader that is killed anywhere in its claim keeps no topic from being freed") {
  Places scene;
  atEachStep(SIGKILL, claimsReader, [&] { return scene.make(); }, [&](Victim&) {
    scene.log().settle();
    scene.log().sequencer().endDead();
    scene.log().settle();
    expectUsable(scene.log(), "b");
  });
}

TEST("a process killed anywhere in the declaring of a topic in a freed place leaves the place and the name to the next") {
  Places scene;
  atEachStep(SIGKILL, declaresNext, [&] { return scene.makeFreed(); }, [&](Victim&) {
    CHECK(namesIn(*scene.log().region()) == "" || namesIn(*scene.log().region()) == "next");
    expectUsable(scene.log(), "other");
    expectUsable(scene.log(), "next");
  });
}

TEST("a process stopped anywhere in the declaring of a topic in a freed place goes on with a topic of its own") {
  Places scene;
  uint64_t reused = 0;
  atEachStep(SIGSTOP, declaresNext, [&] { return scene.makeFreed(); }, [&](Victim& victim) {
    // If the topic is visible meanwhile, it can be used, left, and freed again.
    const bool seen = namesIn(*scene.log().region()) == "next";
    TopicWish wish;
    TopicView topic;
    Status status;
    for (int turn = 0; turn < 3; turn += 1) {
      status = declareTopic(*scene.log().region(), "other", orderSession, 1, topic, &wish);
      scene.log().settle();
    }
    CHECK(victim.goOn() || (status.ok() && !seen));  // it fails if another took the place before it had the lock
    reused += seen && status.ok() ? 1 : 0;
    victim.kill();
    expectUsable(scene.log(), "last");
  });
  CHECK(reused > 0);
}

TEST("a process killed anywhere in its wish for a place leaves the next one's to be answered") {
  Places scene;
  atEachStep(SIGKILL, wishes, [&] { return scene.make(); }, [&](Victim&) {
    expectUsable(scene.log(), "other");
    expectUsable(scene.log(), "next");
  });
}

TEST("a process stopped anywhere in its wish for a place holds up new names alone, and its wish is answered") {
  Places scene;
  atEachStep(SIGSTOP, wishes, [&] { return scene.make(); }, [&](Victim& victim) {
    scene.log().settle();
    TopicView topic;
    const Status status = declareTopic(*scene.log().region(), "b", orderSession, 1, topic, &scene.freeing().wish);
    CHECK(status.ok() || plain(status.fault) == "busy" || plain(status.fault) == "wished");
    victim.goOn();
    victim.kill();
    expectUsable(scene.log(), "other");
  });
}

// --- several at once ---

TEST("of two that wish at once each gets the place of an unused topic, or one of them is told that there is none") {
  Geometry geometry = tinyGeometry();
  for (const uint32_t unused : {0U, 1U, 2U}) {
    TestLog log(geometry);
    std::vector<std::unique_ptr<IndexReader>> readers;
    for (const char* name : {"a", "b"}) {
      const uint32_t topic = log.declare(name, orderSession);
      if (topic >= unused) readers.push_back(log.reader(topic, From::start));
    }
    TopicWish wishes[2];
    TopicView topics[2];
    std::string faults[2] = {"wished", "wished"};
    for (int turn = 0; turn < 6; turn += 1) {
      for (int i = 0; i < 2; i += 1) {
        if (faults[i] != "wished") continue;
        const Status status = declareTopic(*log.region(), i == 0 ? "x" : "y", orderSession, 1, topics[i], &wishes[i]);
        faults[i] = plain(status.fault);
        if (status.ok()) readers.push_back(log.reader(topics[i].index, From::start));
      }
      log.settle();
    }
    const uint32_t given = (faults[0] == "none" ? 1 : 0) + (faults[1] == "none" ? 1 : 0);
    CHECK_EQUAL(given, unused);
    for (const std::string& fault : faults) CHECK(fault == "none" || fault == "full");
  }
}

TEST("of two that declare one name in the place of another topic both get the same one") {
  TestLog log(tinyGeometry());
  for (const char* name : {"a", "b"}) log.declare(name, orderSession);
  TopicWish wishes[2];
  TopicView topics[2];
  for (int i = 0; i < 2; i += 1) {
    CHECK_EQUAL(declareTopic(*log.region(), "c", orderSession, 1, topics[i], &wishes[i]).fault, "wished");
  }
  log.settle();
  for (int i = 0; i < 2; i += 1) {
    CHECK_EQUAL(declareTopic(*log.region(), "c", orderSession, 1, topics[i], &wishes[i]).fault, "none");
  }
  CHECK(topics[0].index == topics[1].index && topics[0].generation == topics[1].generation);
  CHECK_EQUAL(topicsOf(*log.region()).size(), 2);
}

// One of three threads that share two places with topics of their own: each reads what it has published, and nothing
// else.
class Sharing {
 public:
  Sharing(TestLog& log, uint64_t number) : log_(log), region_(attachedAgain(*log.region())), random_(number), number_(number) {}

  uint64_t rounds() const { return rounds_; }

  bool round() {
    TopicView topic;
    const std::string name = std::to_string(3 * number_ + random_.below(3));
    if (!declareTopic(*region_, name, orderSession, 1, topic, &wish_).ok()) return pauseBriefly(), false;
    wish_ = {};
    Claim place, claim;
    if (!claimReader(*region_, topic.place(), "reader", place).ok()) return false;
    IndexReader reader(region_, topic.index, place);
    CHECK_EQUAL(reader.attach(From::start, 0).fault, "none");
    // The mark itself may say for a moment that the place is being freed: a sequencer that began before this claim takes
    // it back.
    TopicView mine;
    CHECK(topicAt(*region_, topic.index, mine) == TopicState::declared && mine.generation == topic.generation);
    const uint64_t kept = reader.committed();
    if (!claimClient(*region_, topic.place(), claim).ok()) return pauseBriefly(), false;
    auto lanes = std::make_unique<LaneWriter>(region_, claim);
    until("the session is admitted", [&] { return lanes->ready() || lanes->endReason() != endNone; });
    CHECK_EQUAL(lanes->endReason(), endNone);  // a topic with a reader is not freed
    Publishing publishing(std::move(lanes));
    const uint64_t batches = 1 + random_.below(20);
    uint64_t written = 0, read = 0, position = 0;
    until("all is read", [&] {
      if (written < batches && publishing.publish(static_cast<uint32_t>(written % 2), written)) written += 1;
      BatchView views[16];
      const int32_t count = reader.poll(views, 16);
      CHECK(count >= 0);
      for (int32_t i = 0; i < count; i += 1) read += check(views[i], topic.place(), publishing.session(), position);
      reader.release(reader.next());
      return read == batches;
    });
    CHECK_EQUAL(reader.committed(), reader.next());
    CHECK(reader.next() >= kept + batches);
    publishing.lanes().close();
    rounds_ += 1;
    return true;
  }

 private:
  // Kept batches of earlier rounds must have been published to this very topic, by this thread.
  uint64_t check(const BatchView& view, TopicPlace place, uint64_t session, uint64_t& position) {
    sessions_[session] = {place.index, place.generation};
    const auto known = sessions_.find(view.sessionId);
    CHECK(known != sessions_.end());
    CHECK(known->second == std::make_pair(uint64_t{place.index}, place.generation));
    if (position != 0) CHECK_EQUAL(view.position, position);
    position = view.position + view.messages;
    const BatchContents contents = contentsOf(view.sessionId, view.batchSequence, 64);
    CHECK_EQUAL(view.payloadBytes, contents.payloadBytes);
    CHECK(std::equal(contents.bytes.begin(), contents.bytes.end(), region_->laneBytes(view.lane) + view.payloadOffset));
    return view.sessionId == session ? 1 : 0;
  }

  TestLog& log_;
  std::shared_ptr<Region> region_;
  Random random_;
  uint64_t number_;
  TopicWish wish_;
  std::map<uint64_t, std::pair<uint64_t, uint64_t>> sessions_;
  uint64_t rounds_ = 0;
};

TEST("topics that come and go in two places under load: each reader has what was published to its topic, and no more") {
  Geometry geometry = tinyGeometry();
  geometry.clients = 4;
  TestLog log(geometry, TestLog::threaded());
  std::atomic<bool> stopping{false};  // private
  std::vector<std::unique_ptr<Sharing>> sharing;
  std::vector<std::thread> threads;
  for (uint64_t number = 0; number < 3; number += 1) {
    sharing.push_back(std::make_unique<Sharing>(log, number));
    threads.emplace_back([&stopping, each = sharing.back().get()] {
      while (!stopping.load()) each->round();
    });
  }
  until("each has had topics of its own", [&] {
    for (uint32_t b = 0; b < geometry.brokers; b += 1) grantLanes(*log.region(), b);
    uint64_t generations = 0;
    for (uint32_t t = 0; t < geometry.topics; t += 1) generations += log.placeOf(t).generation;
    return generations > 100;
  });
  stopping.store(true);
  std::atomic<bool> ended{false};  // private
  std::thread granting([&] {
    while (!ended.load()) {
      for (uint32_t b = 0; b < geometry.brokers; b += 1) grantLanes(*log.region(), b);
      pauseBriefly();
    }
  });
  for (std::thread& thread : threads) thread.join();
  ended.store(true);
  granting.join();
  for (const auto& each : sharing) CHECK(each->rounds() > 0);
}

}  // namespace

}  // namespace ringfence::test
