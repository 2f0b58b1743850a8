#include "cursors.h"

#include "cursor_ends.h"
#include "explore/protocols/served.h"
#include "region/sealed_line.h"
#include "stored_cursors.h"

namespace ringfence::explore {

namespace {

using namespace durable;
using std::make_shared;
using std::shared_ptr;

constexpr uint64_t lateMillis = 2 * expiresMillis;

// A log that is not served: no server takes part. One topic.
struct Unserved {
  shared_ptr<Region> region;
  TopicPlace topic{};
  shared_ptr<Said> said = make_shared<Said>();

  Unserved() : region(made(geometry())) {
    Program declarer("declarer", false);
    declarer.ahead([&] {
      TopicView declared;
      expectOk(declareTopic(*region, "t", orderSession, ackOrdered, declared), "declaring the topic");
      topic = declared.place();
    });
  }
  static Geometry geometry() {
    Geometry g = logGeometry();
    g.processes = 8;
    return g;
  }
};

shared_ptr<Holder> holderOf(const Unserved& log, const Attached& place) {
  return make_shared<Holder>(place.region, log.topic, log.said);
}

// Looks again and again: the cursor never goes back, and never behind a commit that has returned.
void watches(const Unserved& log, Attached& watcher, int looks) {
  watcher.program.runs([=, at = watcher.region, said = log.said] {
    for (int i = 0; i < looks; i += 1) {
      const uint64_t least = std::max(said->committed, said->seen);
      const auto found = named(*at);
      expect(least == 0 || found.size() == 1, "a cursor is gone");
      if (!found.empty()) {
        expect(positionIn(found[0]) >= least, "a cursor goes back");
        said->seen = std::max(said->seen, positionIn(found[0]));
      }
      pauses();
    }
  });
}

// The holder commits twice and leaves, or dies at any moment; the next one goes on from there, and commits less than that.
void heir() {
  Unserved log;
  Attached first(*log.region, "first", false);
  Attached next(*log.region, "next", false, false);
  Attached watcher(*log.region, "watcher", false, false);
  const auto has = make_shared<bool>(false);
  first.program.runs([=, holder = holderOf(log, first)] {
    expectOk(holder->hold(request()), "taking a new cursor");
    *has = true;
    for (const uint64_t position : {3U, 7U}) expectOk(holder->commit(position), "the holder's commit");
    expectOk(holder->leave(), "leaving");
  });
  next.program.runs([=, at = next.region, holder = holderOf(log, next), process = &first.program.process()] {
    while (!*has && process->alive) pauses();
    expectOk(holder->hold(request()), "a cursor whose holder is gone");
    const uint64_t before = holder->position();
    expect(before == 0 || before == 3 || before == 7, "a cursor stands where it was never committed");
    expectOk(holder->commit(5), "the holder's commit");
    const auto found = named(*at);
    expect(found.size() == 1 && found[0].held && found[0].holding == holder->held().holding, "its holder does not hold a cursor");
    expect(positionIn(found[0]) == std::max<uint64_t>(before, 5), "a cursor is not where it was committed");
  });
  watches(log, watcher, 6);
}

// A holder died in the midst of the line, with its commit of 7 in the spare. The next one may die at any moment, too: the one
// after it still finds the cursor there.
void halfCommitted() {
  Unserved log;
  Attached first(*log.region, "first", false);
  Attached next(*log.region, "next", false);
  Attached last(*log.region, "last", false, false);
  Attached watcher(*log.region, "watcher", false, false);
  first.program.ahead([&] {
    const auto holder = holderOf(log, first);
    expectOk(holder->hold(request()), "taking a new cursor");
    expectOk(holder->commit(7), "the holder's commit");
    const uint64_t torn = 4;
    memory::copyIn(&RawLine::of(first.region->cursor(0).cursor).committed, &torn, sizeof(torn), {});
  });
  const auto done = make_shared<bool>(false);
  next.program.runs([=, holder = holderOf(log, next)] {
    expectOk(holder->hold(request(theName, true)), "a cursor whose holder is gone");
    expectOk(holder->commit(9), "the holder's commit");
    *done = true;
  });
  last.program.runs([=, at = last.region, holder = holderOf(log, last), process = &next.program.process()] {
    while (!*done && process->alive) pauses();
    expectOk(holder->hold(request(theName, true)), "a cursor whose holder is gone");
    expectOk(holder->commit(5), "the holder's commit");
    expect(positionIn(named(*at).at(0)) >= 7, "a cursor is not where it was committed");
  });
  watches(log, watcher, 6);
}

// Another takes the cursor from a holder that lives, or is stopped: from then on the former commits nothing.
void usurped() {
  Unserved log;
  Attached first(*log.region, "first", false);
  Attached next(*log.region, "next", false, false);
  Attached watcher(*log.region, "watcher", false, false);
  const auto former = holderOf(log, first);
  first.program.ahead([&] { expectOk(former->hold(request()), "taking a new cursor"); });
  const auto taken = make_shared<bool>(false);
  const auto done = make_shared<bool>(false);
  first.program.runs([=] {
    for (uint64_t position = 3; position <= 9 && !*done; position += 2) {
      const bool late = *taken;
      const Status status = former->commit(position);
      expect(status.ok() || is(status, "fenced"), "a commit fails: " + faultOf(status));
      expect(!late || is(status, "fenced"), "a former holder commits");
      if (!status.ok()) return;
      pauses();
    }
    const Status status = former->leave();
    expect(status.ok() || is(status, "fenced"), "leaving fails: " + faultOf(status));
  });
  next.program.runs([=, at = next.region, holder = holderOf(log, next)] {
    pauses();
    expectOk(holder->hold(request(theName, true)), "taking the cursor over");
    *taken = true;
    const uint64_t before = holder->position();
    for (const uint64_t position : {4U, 20U}) {
      expectOk(holder->commit(position), "the holder's commit");
      const auto found = named(*at);
      expect(found.size() == 1 && found[0].holding == holder->held().holding && found[0].held, "another holds the cursor");
      expect(positionIn(found[0]) == std::max(before, position), "another has committed");
      pauses();
    }
    *done = true;
  });
  watches(log, watcher, 6);
}

// Two ask for one new name: one cursor has it, and one process the cursor; the other once that one is dead.
void namesakes() {
  Unserved log;
  const auto living = make_shared<int>(0);
  Attached first(*log.region, "first", false);
  Attached second(*log.region, "second", false, false);
  const auto asks = [&](Attached& place, bool lasts) {
    place.program.runs([=, at = place.region, holder = holderOf(log, place)] {
      const Status status = holder->hold(request(), false);
      expect(status.ok() || is(status, "held") || is(status, "busy"), "a cursor is refused: " + faultOf(status));
      if (!status.ok()) return;
      *living += lasts ? 1 : 0;
      const auto found = named(*at);
      expect(found.size() == 1 && found[0].holding == holder->held().holding, "a cursor has another holder");
      expectOk(holder->commit(3), "the holder's commit");
    });
  };
  asks(first, true);
  asks(second, true);
  atEnd([=, region = log.region] {
    expect(*living <= 1 || Scheduler::now().deaths(), "two hold one cursor");
    expect(*living >= 1 || Scheduler::now().deaths() || Scheduler::now().stops(), "of two that ask none holds the cursor");
  });
}

// All cursors are in use but one, which expires: its own name comes back for it, and another name wants its slot.
void expired() {
  Unserved log;
  Attached keeper(*log.region, "keeper", false, false);
  Attached returning(*log.region, "returning", false);
  Attached newcomer(*log.region, "newcomer", false, false);
  keeper.program.ahead([&] {
    for (uint32_t i = 0; i < log.region->layout().cursors(); i += 1) {
      const auto holder = make_shared<Holder>(keeper.region, log.topic, make_shared<Said>());
      expectOk(holder->hold(request(i == 0 ? theName : std::to_string(i))), "taking a new cursor");
      if (i != 0) continue;
      uint64_t micros = 0;
      expectOk(commitCursor(*keeper.region, holder->held(), {7, 1000, false}, micros), "the holder's commit");
      expectOk(holder->leave(), "leaving");
    }
  });
  const auto had = make_shared<int>(0);
  const auto asks = [&](Attached& place, const char* name) {
    place.program.runs([=, at = place.region, holder = make_shared<Holder>(place.region, log.topic, make_shared<Said>())] {
      const Status status = holder->hold(request(name, false, lateMillis), false);
      expect(status.ok() || is(status, "full") || is(status, "busy"), "a cursor is refused: " + faultOf(status));
      if (!status.ok()) return;
      *had += 1;
      expect(holder->position() == 0, "an expired cursor comes back with what it said");
      expectOk(holder->commit(3), "the holder's commit");
      const auto found = named(*at, name);
      expect(found.size() == 1 && positionIn(found[0]) == 3, "a cursor is not where it was committed");
    });
  };
  asks(returning, theName);
  asks(newcomer, "new");
  atEnd([=] {
    expect(*had <= 1 || Scheduler::now().deaths(), "two have one slot");
    expect(*had >= 1 || Scheduler::now().deaths() || Scheduler::now().stops(), "of two that ask none gets the slot");
  });
}

// A cursor is restored while another process asks for it.
void restored() {
  Unserved log;
  Attached restorer(*log.region, "restorer", false);
  Attached holding(*log.region, "holder", false, false);
  const auto isRestored = make_shared<bool>(false);
  restorer.program.runs([=, at = restorer.region, topic = log.topic] {
    Patience patience;
    Status status = restoreCursor(*at, topic, request(), 8, 900);
    while (is(status, "busy") && patience.lasts()) status = restoreCursor(*at, topic, request(), 8, 900);
    expect(status.ok() || is(status, "invalid"), "a cursor is not restored: " + faultOf(status));
    *isRestored = status.ok();
  });
  holding.program.runs([=, at = holding.region, holder = holderOf(log, holding), process = &restorer.program.process()] {
    const bool before = *isRestored;
    expectOk(holder->hold(request()), "asking for a cursor");
    expect(holder->position() == 0 || holder->position() == 8, "a cursor stands where it was never committed");
    expect(!before || holder->position() == 8, "a restored cursor says less");
    expectOk(holder->commit(3), "the holder's commit");
    expect(positionIn(named(*at).at(0)) == std::max<uint64_t>(holder->position(), 3), "a cursor is not where it was committed");
  });
}

// The cursor's topic is freed, and another one declared in its place: commits fail from then on, and the new topic's cursor
// of that name says nothing.
void freed() {
  Served log(logGeometry());
  Attached holding(*log.server.region, "holder", false);
  Attached declarer(*log.server.region, "declarer", false, false);
  const auto said = make_shared<Said>();
  const auto holder = make_shared<Holder>(holding.region, log.topic, said);
  holding.program.ahead([&] { expectOk(holder->hold(request()), "taking a new cursor"); });
  log.runs();
  const auto gone = make_shared<bool>(false);
  holding.program.runs([=] {
    for (uint64_t position = 1; position < 6; position += 1) {
      const bool late = *gone;
      const Status status = holder->commit(position);
      const bool known = status.ok() || is(status, "gone") || is(status, "fenced") || is(status, "recovering");
      expect(known, "a commit fails: " + faultOf(status));
      expect(!late || !status.ok(), "a commit of a topic that is gone");
      if (!status.ok()) return;
      pauses();
    }
  });
  declarer.program.runs([=, at = declarer.region] {
    TopicView topic;
    TopicWish wish;
    retry("no place comes free for a topic", [&] {
      const Status status = declareTopic(*at, "u", orderSession, ackOrdered, topic, &wish);
      if (is(status, "full")) wish = {};
      return status.ok();
    });
    *gone = true;
    Holder own(at, topic.place(), make_shared<Said>());
    expectOk(own.hold(request()), "taking a new cursor");
    expect(own.position() == 0, "a cursor of another topic comes back");
    expectOk(own.commit(2), "the holder's commit");
    expect(positionIn(named(*at).at(0)) == 2, "a cursor is not where it was committed");
  });
}

// The holder commits again and again while another process looks once at the line and its spare: the commits overtake the
// look, which finds both torn, and then looks again. Neither is damaged.
void overtaken() {
  Unserved log;
  Attached first(*log.region, "first", false, false);
  Attached watcher(*log.region, "watcher", false, false);
  const auto holder = holderOf(log, first);
  first.program.ahead([&] { expectOk(holder->hold(request()), "taking a new cursor"); });
  first.program.runs([=] {
    for (const uint64_t position : {3U, 5U, 7U}) expectOk(holder->commit(position), "the holder's commit");
  });
  watcher.program.runs([at = watcher.region] {
    const CursorSlot& slot = at->cursor(0);
    CursorSlot::Cursor seen{};
    expect(readEither(at->publication(), slot.cursor, slot.spare, seen), "a line and its spare that are written count as damaged");
  });
}

}  // namespace

Protocol cursorsProtocol() {
  Protocol protocol{"cursors", "named cursors: one holder at a time, and what it commits", {
    {"heir", "the holder leaves or dies at any moment, and the next one goes on where it was", &heir},
    {"half committed", "a holder has died in the midst of a commit, and the next one may die at any moment, too", &halfCommitted},
    {"usurped", "another takes the cursor from a holder that lives or is stopped", &usurped},
    {"namesakes", "two processes ask for one new name", &namesakes},
    {"expired", "all cursors are in use but an expired one, whose name and another one are asked for", &expired},
    {"restored", "a cursor is restored while another process asks for it", &restored},
    {"freed", "the cursor's topic is freed for another, which has a cursor of that name", &freed},
    {"overtaken", "a holder commits while another process looks at the line and its spare", &overtaken},
  }};
  for (const Configuration& one : storedCursors()) protocol.configurations.push_back(one);
  return protocol;
}

}  // namespace ringfence::explore
