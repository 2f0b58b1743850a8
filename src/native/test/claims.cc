// Claims of processes that are killed or stopped between any two of their stores.
#include <signal.h>

#include "log_fixture.h"
#include "raw_line.h"
#include "ring/ring_writer.h"
#include "steps.h"

namespace ringfence::test {

namespace {

// A fresh log in a file, with the topic "t", for each step.
class Scene {
 public:
  std::string make(const Geometry& geometry) {
    log_.reset();
    CreateOptions options;
    options.path = scratchFolder() + "/region-" + std::to_string(made_ += 1);
    options.geometry = geometry;
    options.processName = "server";
    options.prefault = false;
    std::shared_ptr<Region> region;
    CHECK_EQUAL(Region::create(options, nullptr, region).fault, "none");
    log_ = std::make_unique<TestLog>(region, TestLog::manual());
    log_->declare("t", orderSession);
    return options.path;
  }
  TestLog& log() { return *log_; }
  Region& region() { return *log_->region(); }

 private:
  uint64_t made_ = 0;
  std::unique_ptr<TestLog> log_;
};

bool claimsSession(const std::shared_ptr<Region>& region) {
  Claim claim;
  return claimClient(*region, {0, 1}, claim).ok();
}

bool claimsReader(const std::shared_ptr<Region>& region) {
  Claim claim;
  return claimReader(*region, {0, 1}, "victim", claim).ok();
}

TEST("a process stopped anywhere in the claim of a session holds up no other, and goes on with a session of its own") {
  Scene scene;
  atEachStep(SIGSTOP, claimsSession, [&] { return scene.make(tinyGeometry()); }, [&](Victim& victim) {
    Claim mine;
    CHECK_EQUAL(claimClient(scene.region(), {0, 1}, mine).fault, "none");
    CHECK(victim.goOn());
    scene.log().settle();
    const auto sessions = scene.log().sequencer().sessions();
    CHECK_EQUAL(sessions.size(), 2);
    CHECK(sessions[0].sessionId != sessions[1].sessionId);
    CHECK(sessions[mine.slot].sessionId == mine.clientId && sessions[mine.slot].pid.pid != sessions[1 - mine.slot].pid.pid);
  });
}

TEST("a claim given up while the sequencer adopts it, and another one behind it, leave the slot to the next session") {
  Geometry geometry = tinyGeometry();
  geometry.clients = 1;
  for (uint64_t step = 0, met = 1; met != 0; step += 1) {
    TestLog log(geometry);
    const uint32_t topic = log.declare("t", orderSession);
    const auto giveUp = [&](const Claim& claim) { LaneWriter(log.region(), claim).close(); };
    const Claim first = log.claim(topic);
    const auto comeAndGo = [&] {
      giveUp(first);
      Claim second;
      if (claimClient(*log.region(), {topic, 1}, second).ok()) giveUp(second);
    };
    met = interleaved(step, [&] { log.sequencer().step(); }, comeAndGo) ? 1 : 0;
    if (met == 0) comeAndGo();
    log.settle();
    CHECK(Publishing(log.open(topic)).publish(0, 0));
  }
}

TEST("a process killed anywhere in the claim of a session leaves a slot that can be claimed, and no session of its own") {
  Scene scene;
  atEachStep(SIGKILL, claimsSession, [&] { return scene.make(tinyGeometry()); }, [&](Victim&) {
    scene.log().settle();
    scene.log().sequencer().endDead();
    scene.log().settle();
    Claim first, second;
    CHECK_EQUAL(claimClient(scene.region(), {0, 1}, first).fault, "none");
    CHECK_EQUAL(claimClient(scene.region(), {0, 1}, second).fault, "none");
    CHECK(first.slot != second.slot && first.clientId != second.clientId);
  });
}

TEST("a process stopped anywhere in the claim of a reader holds up no other, and goes on with a place of its own") {
  Scene scene;
  atEachStep(SIGSTOP, claimsReader, [&] { return scene.make(tinyGeometry()); }, [&](Victim& victim) {
    Claim mine;
    CHECK_EQUAL(claimReader(scene.region(), {0, 1}, "mine", mine).fault, "none");
    CHECK(victim.goOn());
    const Publication& p = scene.region().publication();
    const ReaderClaim first = p.copy(scene.region().reader(0, 0).claim);
    const ReaderClaim second = p.copy(scene.region().reader(0, 1).claim);
    CHECK(first.generation == 1 && second.generation == 1 && first.process != second.process);
    CHECK_EQUAL((mine.slot == 0 ? first : second).name, "mine");
    CHECK_EQUAL((mine.slot == 0 ? second : first).name, "victim");
  });
}

TEST("a process killed anywhere in the claim of a reader leaves a place that can be claimed") {
  Scene scene;
  atEachStep(SIGKILL, claimsReader, [&] { return scene.make(tinyGeometry()); }, [&](Victim&) {
    scene.log().sequencer().endDead();
    for (uint32_t i = 0; i < tinyGeometry().readers; i += 1) {
      Claim claim;
      CHECK_EQUAL(claimReader(scene.region(), {0, 1}, "next", claim).fault, "none");
      CHECK_EQUAL(claim.slot, i);
    }
  });
}

bool declaresTopic(const std::shared_ptr<Region>& region) {
  TopicView topic;
  return declareTopic(*region, "new", orderSession, 1, topic).ok();
}

std::function<bool(const std::shared_ptr<Region>&)> opensRing(const char* name) {
  return [name](const std::shared_ptr<Region>& region) {
    RingRole role;
    return claimRing(*region, name, role).ok();
  };
}

std::function<bool(const std::shared_ptr<Region>&)> readsRing(const char* name) {
  return [name](const std::shared_ptr<Region>& region) {
    ReaderRole role;
    const Status status = claimRingReader(*region, name, "victim", role);
    return status.ok() || plain(status.fault) == "missing";
  };
}

bool names(const Status& status, const Victim& victim) {
  return plain(status.fault) == "busy" &&
         status.detail.find("process \"victim\" (pid " + std::to_string(victim.pid()) + ")") != std::string::npos;
}

TEST("a process stopped anywhere in the declaring of a topic holds up new names alone, and is named for it") {
  Scene scene;
  uint64_t refused = 0;
  atEachStep(SIGSTOP, declaresTopic, [&] { return scene.make(tinyGeometry()); }, [&](Victim& victim) {
    TopicView topic;
    CHECK_EQUAL(declareTopic(scene.region(), "t", orderSession, 1, topic).fault, "none");
    Claim claim;
    CHECK_EQUAL(claimClient(scene.region(), {0, 1}, claim).fault, "none");
    const Status status = declareTopic(scene.region(), "new", orderSession, 1, topic);
    CHECK(status.ok() || names(status, victim));
    if (!status.ok()) refused += 1;
    CHECK(victim.goOn());
    CHECK_EQUAL(declareTopic(scene.region(), "new", orderSession, 1, topic).fault, "none");
    CHECK_EQUAL(topicsOf(scene.region()).size(), 2);
  });
  CHECK(refused > 3);
}

TEST("a process killed anywhere in the declaring of a topic leaves the name to be given, once") {
  Scene scene;
  atEachStep(SIGKILL, declaresTopic, [&] { return scene.make(tinyGeometry()); }, [&](Victim&) {
    TopicView topic;
    CHECK_EQUAL(declareTopic(scene.region(), "new", orderSession, 1, topic).fault, "none");
    CHECK_EQUAL(topicsOf(scene.region()).size(), 2);
    CHECK(topicsOf(scene.region())[0].name == "t" && topicsOf(scene.region())[1].name == "new");
  });
}

// Two rings, "a" and "b", whose writers have closed; `a` has a reader in this process if wanted.
class RingScene {
 public:
  std::string make() {
    Geometry g = tinyGeometry();
    g.rings = 2;
    g.ringReaders = 3;
    g.ringBytes = 4096;
    const std::string path = scene_.make(g);
    for (const char* name : {"a", "b"}) {
      RingRole role;
      CHECK_EQUAL(claimRing(scene_.region(), name, role).fault, "none");
      RingWriter::abandon(scene_.region(), role);
    }
    return path;
  }
  Region& region() { return scene_.region(); }
  RingView ring(const std::string& name) {
    std::vector<RingView> found;
    for (const RingView& view : ringsOf(region())) {
      CHECK(view.name == "a" || view.name == "b" || view.name == "c");
      if (view.name == name) found.push_back(view);
    }
    CHECK(found.size() <= 1);
    return found.empty() ? RingView{~0U, 0, 0, false, 0, 0, 0, 0, ""} : found[0];
  }

 private:
  Scene scene_;
};

TEST("a process stopped anywhere in the opening of a ring holds up that ring alone, and is named for it") {
  RingScene scene;
  uint64_t refused = 0;
  atEachStep(SIGSTOP, opensRing("a"), [&] { return scene.make(); }, [&](Victim& victim) {
    RingRole role;
    ReaderRole reader;
    CHECK_EQUAL(claimRing(scene.region(), "b", role).fault, "none");
    CHECK_EQUAL(claimRingReader(scene.region(), "a", "reader", reader).fault, "none");
    const Status status = claimRing(scene.region(), "a", role);
    CHECK(status.ok() || plain(status.fault) == "exists" || names(status, victim));
    if (plain(status.fault) == "busy") refused += 1;
    CHECK(victim.goOn() != status.ok());
    CHECK(scene.ring("a").written && scene.ring("a").generation == 2);
  });
  CHECK(refused > 3);
}

TEST("a process killed anywhere in the opening of a ring leaves it, under its name, to the next writer") {
  RingScene scene;
  atEachStep(SIGKILL, opensRing("a"), [&] { return scene.make(); }, [&](Victim&) {
    CHECK(!scene.ring("a").written);
    const uint64_t generation = scene.ring("a").generation;
    RingRole role;
    CHECK_EQUAL(claimRing(scene.region(), "a", role).fault, "none");
    CHECK(role.ring == 0 && role.generation == generation + 1);
    CHECK(scene.ring("a").written);
  });
}

TEST("a process stopped anywhere while it gives a ring another name holds up new names alone, and is named for it") {
  RingScene scene;
  uint64_t refused = 0;
  atEachStep(SIGSTOP, opensRing("c"), [&] { return scene.make(); }, [&](Victim& victim) {
    RingRole role;
    ReaderRole reader;
    const Status status = claimRing(scene.region(), "c", role);
    CHECK(status.ok() || plain(status.fault) == "exists" || names(status, victim));
    if (plain(status.fault) == "busy") refused += 1;
    if (!status.ok()) CHECK_EQUAL(claimRingReader(scene.region(), "b", "reader", reader).fault, "none");
    CHECK(victim.goOn() != status.ok());
    CHECK(scene.ring("c").written && scene.ring("c").generation == 2);
  });
  CHECK(refused > 3);
}

TEST("a process killed anywhere while it gives a ring another name leaves no name twice, and none in halves") {
  RingScene scene;
  atEachStep(SIGKILL, opensRing("c"), [&] { return scene.make(); }, [&](Victim&) {
    CHECK_EQUAL(scene.ring("b").ring, 1);
    RingRole role;
    CHECK_EQUAL(claimRing(scene.region(), "c", role).fault, "none");
    CHECK_EQUAL(scene.ring("c").ring, role.ring);
    RingRole other;
    CHECK_EQUAL(claimRing(scene.region(), "b", other).fault, role.ring == 1 ? "full" : "none");
  });
}

TEST("who comes to read a ring while it gets another name reads that ring, or is told that there is none") {
  RingScene scene;
  uint64_t kept = 0;
  const auto look = [&](Victim& victim, bool comesFirst) {
    RingRole role;
    ReaderRole reader;
    if (comesFirst) {
      CHECK_EQUAL(claimRing(scene.region(), "c", role).fault, "none");
    } else {
      const Status status = claimRingReader(scene.region(), "a", "reader", reader);
      CHECK(status.ok() || plain(status.fault) == "missing");
      if (status.ok()) kept += 1;
      if (status.ok()) CHECK_EQUAL(RawLine::of(scene.region().ringReader(reader.ring, reader.slot).claim).name, "reader");
    }
    CHECK(victim.goOn());
    // A living reader attached under the name that its ring still has.
    for (uint32_t i = 0; i < 3; i += 1) {
      const RingReaderSlot& slot = scene.region().ringReader(0, i);
      const uint64_t generation = RawLine::of(slot.claim).generation;
      const bool there = generation != 0 && RawLine::of(slot.line).detachedGeneration != generation;
      if (there) CHECK_EQUAL(scene.ring("a").ring, 0);
      if (there) CHECK_EQUAL(scene.ring("c").ring, 1);
    }
  };
  atEachStep(SIGSTOP, opensRing("c"), [&] { return scene.make(); }, [&](Victim& victim) { look(victim, false); });
  CHECK(kept > 1);
  atEachStep(SIGSTOP, readsRing("a"), [&] { return scene.make(); }, [&](Victim& victim) { look(victim, true); });
}

TEST("a process stopped anywhere in the claim of a ring reader's place holds up no other, and killed leaves a place") {
  RingScene scene;
  atEachStep(SIGSTOP, readsRing("a"), [&] { return scene.make(); }, [&](Victim& victim) {
    ReaderRole reader;
    CHECK_EQUAL(claimRingReader(scene.region(), "a", "mine", reader).fault, "none");
    CHECK(victim.goOn());
    CHECK_EQUAL(RawLine::of(scene.region().ringReader(0, 1 - reader.slot).claim).name, "victim");
    victim.kill();
    CHECK_EQUAL(claimRingReader(scene.region(), "a", "next", reader).fault, "none");
    CHECK(reader.slot < 2);
  });
  atEachStep(SIGKILL, readsRing("a"), [&] { return scene.make(); }, [&](Victim&) {
    for (uint32_t i = 0; i < 3; i += 1) {
      ReaderRole reader;
      CHECK_EQUAL(claimRingReader(scene.region(), "a", "next", reader).fault, "none");
      CHECK_EQUAL(reader.slot, i);
    }
  });
}

TEST("when the one slot that is left is being claimed by a stopped process, that process is named") {
  Scene scene;
  uint64_t refused = 0;
  atEachStep(SIGSTOP, claimsSession, [&] { return scene.make(tinyGeometry()); }, [&](Victim& victim) {
    Claim claim;
    CHECK_EQUAL(claimClient(scene.region(), {0, 1}, claim).fault, "none");
    const Status status = claimClient(scene.region(), {0, 1}, claim);
    CHECK(status.ok() || names(status, victim) || plain(status.fault) == "full");
    if (plain(status.fault) == "busy") refused += 1;
  });
  CHECK(refused > 3);
}

}  // namespace

}  // namespace ringfence::test
