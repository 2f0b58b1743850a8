// Named cursors: killed and stopped holders at every store, races for one name, damage, and what replicas have stored.
#include "log/cursors.h"

#include <signal.h>

#include "damage_fields.h"
#include "log_fixture.h"
#include "raw_line.h"
#include "region/futex.h"
#include "steps.h"

namespace ringfence::test {

namespace {

constexpr TopicPlace topic{0, 1};

CursorRequest request(const std::string& name = "billing", bool takeOver = false) { return {name, 60000, 1000, takeOver}; }

// A fresh log in a file, with the topic "t", for each step.
class Scene {
 public:
  std::string make() {
    log_.reset();
    CreateOptions options;
    options.path = scratchFolder() + "/region-" + std::to_string(made_ += 1);
    options.geometry = tinyGeometry();
    options.processName = "server";
    options.prefault = false;
    std::shared_ptr<Region> region;
    CHECK_EQUAL(Region::create(options, nullptr, region).fault, "none");
    log_ = std::make_unique<TestLog>(region, TestLog::manual());
    log_->declare("t", orderSession);
    return options.path;
  }
  Region& region() { return *log_->region(); }

 private:
  uint64_t made_ = 0;
  std::unique_ptr<TestLog> log_;
};

Status commit(Region& region, const CursorHold& hold, uint64_t position) {
  uint64_t micros = 0;
  return commitCursor(region, hold, {position, 2000, false}, micros);
}

// Holds the cursor, and commits 3 and 7.
bool consumes(const std::shared_ptr<Region>& region) {
  CursorHold hold;
  CursorView view;
  if (!holdCursor(*region, topic, request(), hold, view).ok()) return false;
  return commit(*region, hold, 3).ok() && commit(*region, hold, 7).ok();
}

std::vector<CursorView> named(const Region& region, const std::string& name) {
  std::vector<CursorView> found;
  for (const CursorView& view : cursorsOf(region)) {
    if (view.name == name) found.push_back(view);
  }
  return found;
}

TEST("a holder killed at any store leaves the cursor at one of its commits, never behind one that returned") {
  Scene scene;
  uint64_t before = 0;
  uint64_t steps = 0;
  atEachStep(SIGKILL, consumes, [&] { return scene.make(); }, [&](Victim& victim) {
    victim.kill();
    CursorHold hold;
    CursorView view;
    CHECK_EQUAL(holdCursor(scene.region(), topic, request(), hold, view).fault, "none");
    const uint64_t at = view.committed ? view.position : 0;
    CHECK(at == 0 || at == 3 || at == 7);
    CHECK(at >= before);
    before = at;
    steps += 1;
    CHECK_EQUAL(commit(scene.region(), hold, 9).fault, "none");
    CHECK_EQUAL(named(scene.region(), "billing").size(), 1);
    CHECK_EQUAL(named(scene.region(), "billing")[0].position, 9);
  });
  CHECK_EQUAL(before, 7);
  CHECK(steps > 60);
}

TEST("a holder stopped at any store commits nothing more once another has taken the cursor over") {
  Scene scene;
  uint64_t fenced = 0, busy = 0;
  atEachStep(SIGSTOP, consumes, [&] { return scene.make(); }, [&](Victim& victim) {
    CursorHold hold;
    CursorView view;
    const Status taken = holdCursor(scene.region(), topic, request("billing", true), hold, view);
    if (!taken.ok()) {
      // It has the lock of the slot, or that of names: it is named, and no process is let in.
      CHECK_EQUAL(taken.fault, "busy");
      CHECK(taken.detail.find("\"victim\"") != std::string::npos);
      CHECK(victim.goOn());
      busy += 1;
      CHECK_EQUAL(named(scene.region(), "billing")[0].position, 7);
      return;
    }
    CHECK_EQUAL(commit(scene.region(), hold, 5).fault, "none");
    const uint64_t at = named(scene.region(), "billing")[0].position;
    if (!victim.goOn()) fenced += 1;
    CHECK_EQUAL(named(scene.region(), "billing").size(), 1);
    CHECK_EQUAL(named(scene.region(), "billing")[0].position, at);
    CHECK_EQUAL(named(scene.region(), "billing")[0].process, "server");
    CHECK_EQUAL(commit(scene.region(), hold, 9).fault, "none");
  });
  CHECK(fenced > 0 && busy > 0);
}

TEST("of two that ask for one new name at once exactly one has it, in one slot") {
  for (uint64_t step = 0, met = 1; met != 0; step += 1) {
    TestLog log(tinyGeometry());
    log.declare("t", orderSession);
    std::shared_ptr<Region> other;
    CHECK_EQUAL(Region::reattach(*log.region(), "other", other).fault, "none");
    CursorHold hold, otherHold;
    CursorView view;
    Status mine, others;
    met = interleaved(step, [&] { mine = holdCursor(*log.region(), topic, request(), hold, view); },
                      [&] { others = holdCursor(*other, topic, request(), otherHold, view); })
              ? 1
              : 0;
    if (met == 0) others = holdCursor(*other, topic, request(), otherHold, view);
    CHECK(mine.ok() != others.ok());
    const Status& refused = mine.ok() ? others : mine;
    CHECK(std::string(refused.fault) == "held" || std::string(refused.fault) == "busy");
    CHECK_EQUAL(named(*log.region(), "billing").size(), 1);
  }
}

TEST("a region full of cursors refuses one more, with their number, until one has expired") {
  TestLog log(tinyGeometry());
  log.declare("t", orderSession);
  const uint32_t cursors = log.region()->layout().cursors();
  CursorHold hold;
  CursorView view;
  for (uint32_t i = 0; i < cursors; i += 1) {
    CHECK_EQUAL(holdCursor(*log.region(), topic, request(std::to_string(i)), hold, view).fault, "none");
  }
  CHECK_EQUAL(leaveCursor(*log.region(), hold, 1000).fault, "none");
  CursorRequest late = request("late");
  Status full = holdCursor(*log.region(), topic, late, hold, view);
  CHECK_EQUAL(full.fault, "full");
  CHECK(full.detail.find(std::to_string(cursors)) != std::string::npos);
  late.nowMillis = 61001;
  CHECK_EQUAL(holdCursor(*log.region(), topic, late, hold, view).fault, "none");
  CHECK_EQUAL(hold.index, cursors - 1);
}

TEST("a damaged cursor is read from its spare; with both damaged it is not known, and no new one is named") {
  TestLog log(tinyGeometry());
  log.declare("t", orderSession);
  CursorHold hold;
  CursorView view;
  CHECK_EQUAL(holdCursor(*log.region(), topic, request(), hold, view).fault, "none");
  CHECK_EQUAL(commit(*log.region(), hold, 3).fault, "none");
  CursorSlot& slot = log.region()->cursor(hold.index);
  RawLine::of(slot.cursor).committed = 100;
  CHECK_EQUAL(named(*log.region(), "billing")[0].position, 3);
  CHECK_EQUAL(commit(*log.region(), hold, 4).fault, "none");
  CHECK_EQUAL(RawLine::of(slot.cursor).committed, 5);
  RawLine::of(slot.cursor).committed = 100;
  RawLine::of(slot.spare).committed = 100;
  CHECK_EQUAL(commit(*log.region(), hold, 5).fault, "corrupt");
  uint32_t damaged = 0;
  CHECK_EQUAL(cursorsOf(*log.region(), &damaged).size(), 0);
  CHECK_EQUAL(damaged, 1);
  CHECK_EQUAL(holdCursor(*log.region(), topic, request("other"), hold, view).fault, "corrupt");
}

// A held cursor at 3, and a replica that has it.
struct StoredScene {
  StoredScene() : log(tinyGeometry()) {
    TopicView declared;
    CHECK_EQUAL(declareTopic(*log.region(), "d", orderSession, ackDurable, declared).fault, "none");
    CursorView view;
    CHECK_EQUAL(holdCursor(*log.region(), topic, request(), hold, view).fault, "none");
    CHECK_EQUAL(commit(*log.region(), hold, 3).fault, "none");
    CHECK_EQUAL(claimReader(*log.region(), log.placeOf(0), "replica", claim).fault, "none");
    replica = std::make_unique<IndexReader>(log.region(), 0, claim, 0, ReaderKind{{1, 1}, false});
    CHECK_EQUAL(replica->attach(From::start, 0).fault, "none");
    replica->storedCursors(10);
    CHECK_EQUAL(Region::reattach(*log.region(), "other", other).fault, "none");
  }
  uint8_t* placeOf(const std::string& structure) const {
    Region& region = *log.region();
    return structure == "StoredLine" ? reinterpret_cast<uint8_t*>(&region.reader(0, claim.slot).stored)
                                     : reinterpret_cast<uint8_t*>(&region.cursor(hold.index).cursor);
  }
  bool isAt(uint64_t position) const {
    const auto views = named(*log.region(), "billing");
    return views.size() == 1 && views[0].position == position && views[0].held;
  }

  TestLog log;
  CursorHold hold;
  Claim claim;
  std::unique_ptr<IndexReader> replica;
  std::shared_ptr<Region> other;
};

Seen afterDamage(const DamagedField& field, const Damage& damage) {
  StoredScene at;
  damage.make(at.placeOf(field.structure));
  Seen seen;
  if (!at.isAt(3)) seen.wrong = "the cursor is not where it was";
  if (cursorsStored(*at.log.region(), 0, 10)) seen.wrong = "a commit is said to be stored that is not";
  if (!cursorsStored(*at.log.region(), 0, 9)) seen.outcome |= delayed;
  CursorHold second;
  CursorView view;
  if (plain(holdCursor(*at.other, topic, request(), second, view).fault) != "held") seen.wrong = "two hold the cursor";
  if (!commit(*at.log.region(), at.hold, 4).ok()) seen.outcome |= told;
  if (!at.isAt(4)) seen.wrong = "a commit did not count";
  return seen;
}

TEST("every field of cursors, one at a time: no cursor moves, none has two holders, and none is said to be stored that is not") {
  Random random(17);
  Findings findings;
  for (const DamagedField& field : cursorFields()) {
    const StoredScene scene;
    for (const Damage& damage : damagesIn(field, scene.placeOf(field.structure), random)) {
      findings.add(field, afterDamage(field, damage), damage);
    }
  }
  findings.finish(cursorFields());
}

TEST("a commit is stored once the files of as many replicas as are required have it") {
  TestLog log(tinyGeometry());
  TopicView declared;
  CHECK_EQUAL(declareTopic(*log.region(), "d", orderSession, ackDurable, declared).fault, "none");
  const auto replica = [&](uint64_t key, uint32_t& place) {
    Claim claim;
    CHECK_EQUAL(claimReader(*log.region(), log.placeOf(0), "replica", claim).fault, "none");
    place = claim.slot;
    auto reader = std::make_unique<IndexReader>(log.region(), 0, claim, 0, ReaderKind{{key, 2}, false});
    CHECK_EQUAL(reader->attach(From::start, 0).fault, "none");
    return reader;
  };
  uint32_t place = 0;
  const auto first = replica(1, place);
  const auto same = replica(1, place);
  first->storedCursors(10);
  same->storedCursors(10);
  CHECK(!cursorsStored(*log.region(), 0, 5));
  const auto second = replica(2, place);
  CHECK(!cursorsStored(*log.region(), 0, 5));
  second->storedCursors(8);
  CHECK(cursorsStored(*log.region(), 0, 7));
  CHECK(!cursorsStored(*log.region(), 0, 8));
  RawLine::of(log.region()->reader(0, place).stored).storedMicros = 1000;
  CHECK(!cursorsStored(*log.region(), 0, 8));
  CHECK(!cursorsStored(*log.region(), 0, 7));
}

}  // namespace

}  // namespace ringfence::test
