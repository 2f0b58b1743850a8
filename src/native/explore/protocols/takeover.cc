#include "takeover.h"

#include <algorithm>
#include <cstring>

#include "lapped.h"
#include "takeover_blocks.h"
#include "takeover_held.h"
#include "takeover_log.h"

namespace ringfence::explore {

namespace {

using namespace takeover;

// The server may die ahead of any store of its passes, and a standby takes over.
void succession() {
  Log log(true, orderSession);
  log.publishes(1);
  log.settles();
  log.serves();
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, false);
  log.ends(1);
}

// Two standbys want the log of a server that is gone.
void standbys() {
  Log log(false, orderSession);
  log.publishes(2);
  log.settles();
  log.publishes(1);
  log.leavesAhead();
  Attached one(*log.region, "one standby", false, false);
  Attached other(*log.region, "other standby", false, false);
  log.standsBy(one, false);
  log.standsBy(other, false);
  log.ends(0);
}

// The first standby may die at any store of its recovery; the second recovers.
void heir() {
  Log log(false, orderSession);
  log.publishes(2);
  log.settles();
  log.publishes(1);
  log.leavesAhead();
  Attached one(*log.region, "standby", false, true);
  Attached heir(*log.region, "heir", false, false);
  log.standsBy(one, false);
  log.standsBy(heir, false);
  log.ends(0);
}

// A standby suspects a server that runs: it is deposed in the midst of its passes.
void suspicion() {
  Log log(false, orderSession);
  log.goesOnAhead();
  log.publishes(1);
  log.settles();
  log.publishes(1);
  log.serves();
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, true);
  log.ends(0);
}

// A standby suspects another one in the midst of its recovery.
void usurpation() {
  Log log(false, orderSession);
  log.goesOnAhead();
  log.publishes(2);
  log.settles();
  log.leavesAhead();
  Attached one(*log.region, "one standby", false, false);
  Attached other(*log.region, "other standby", false, false);
  log.standsBy(one, false);
  log.standsBy(other, true);
  log.ends(0);
}

// A batch is published while the standby reads the log, and the server that it deposes commits the batch in its last pass.
void belated() {
  Log log(false, orderSession);
  log.publishes(1);
  log.settles();
  log.serves();
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, true);
  log.ends(1);
}

// A server that takes the log over, and leaves it.
void passBy(const shared_ptr<Region>& at) {
  Sequencer sequencer(at, manual());
  if (sequencer.start().ok()) sequencer.stop(true);
}

// Under order `total` batches are committed and trimmed while the session's first one is missing; then the server dies.
// `handed`: another server takes it over ahead of the one that goes on with it.
void gapUnder(bool handed) {
  Log log(true, orderTotal, 2);
  // Batches of even numbers stay in the first broker's lane, unpublished.
  log.publisher.program.ahead([&] {
    for (; *log.published < 12; *log.published += 1) {
      if (!log.publishing->seal(*log.published)) break;
      if (*log.published % 2 == 1) log.publishing->lanes().publish(1);
    }
  });
  log.settles();
  log.reads();
  log.settles();
  log.leavesAhead();
  Attached next(*log.region, "next server", false, false);
  if (handed) next.program.runs([at = next.region] { passBy(at); });
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, false);
  // Behind the server that hands the log on.
  log.ends(0, false, {{0, 0}});
}
void gap() { gapUnder(false); }
void handedDown() { gapUnder(true); }

// Under order `total` a batch is committed ahead of the missing one; the server may die at any moment, also behind the one
// that was missing.
void facts() {
  Log log(true, orderTotal, 2);
  sealTwo(log);
  log.serves();
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, false);
  log.ends(0, false, {{0, 1}});
}

// The same, and its entry is trimmed, so that the fact alone tells of it: another lane runs short behind it.
void forgotten() {
  constexpr uint64_t batches = 7;
  Log log(true, orderTotal, 3);
  log.publisher.program.ahead([&] {
    for (; *log.published < batches; *log.published += 1) {
      const uint32_t lane = static_cast<uint32_t>(std::min<uint64_t>(*log.published, 2));
      expect(log.publishing->sealIn(lane, *log.published), "there is no room");
      if (lane != 0) log.publishing->lanes().publish(lane);
    }
  });
  log.serves();
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, false);
  log.ends(0, false, {{0, batches - 1}});
}

// Recovery must not take a session's facts for those of the slot's next session. The server dies at each moment, or is
// suspected while it adopts that session.
void changesHands(bool dies) {
  Log log(dies, orderTotal, 2);
  sealTwo(log);
  log.settles();
  log.publisher.program.ahead([&] { log.publishing->lanes().publish(0); });
  log.settles();
  log.reads();
  log.reclaims();
  log.serves();
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, !dies);
  log.ends(2);
}

void reclaimed() { changesHands(true); }
void regained() { changesHands(false); }

// A session goes round its window behind a missing batch. When that one comes, the place of a fact is another batch's at once.
void goRound(Log& log) {
  const uint64_t window = log.region->layout().windowPlaces();
  // The first one is missing, and the one that is missing next lies in a third lane.
  const auto laneFor = [&](uint64_t sequence) { return sequence == 0 ? 0U : sequence == window ? 2U : 1U; };
  for (; *log.published < window + 2; *log.published += 1) {
    const uint32_t lane = laneFor(*log.published);
    log.publisher.program.ahead([&] {
      expect(log.publishing->sealIn(lane, *log.published), "there is no room");
      if (lane == 1) log.publishing->lanes().publish(lane);
    });
    log.settles();
    log.reads();
    log.settles();
  }
}

// The server dies, or it is suspected then.
void goneRound(bool suspicious) {
  Log log(!suspicious, orderTotal, 3);
  const uint64_t window = log.region->layout().windowPlaces();
  goRound(log);
  // A server that is suspected finds the missing one in its first pass.
  if (suspicious) log.publisher.program.ahead([&] { log.publishing->lanes().publish(0); });
  log.serves();
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, suspicious);
  log.ends(0, false, {{0, window - 1}, {2, window + 1}});
}
void wrapped() { goneRound(false); }
void overtaken() { goneRound(true); }

// The same in the last pass of the server.
void inItsLastPass() {
  Log log(false, orderTotal, 3);
  const uint64_t window = log.region->layout().windowPlaces();
  goRound(log);
  log.publisher.program.ahead([&] { log.publishing->lanes().publish(0); });
  Attached standby(*log.region, "standby", false, false);
  log.lastPass(standby, window, endNone);
}

// In the last pass of the server a session's batch is committed, and the session ends.
void endedLast() {
  Log log(false, orderSession);
  log.publishes(1);
  log.publisher.program.ahead([&] { log.publishing->lanes().close(); });
  Attached standby(*log.region, "standby", false, false);
  log.lastPass(standby, 1, endClosed);
}

// A server that is suspected makes its last pass, and only then its publisher and its reader look, once each: the successor
// recovers what they believe. It begins first, and makes no pass.
void unheard() {
  Log log(false, orderSession);
  log.publishes(1);
  Attached standby(*log.region, "standby", false, false);
  const auto sequencer = make_shared<Sequencer>(standby.region, manual());
  atEnd([sequencer] {});
  standby.program.runs([sequencer] { expectOk(sequencer->start(1), "taking the log over from a server that is suspected"); });
  log.first.program.runs([serving = log.serving] { serving->step(); });
  log.looksOnce();
}

// A standby is suspected as it begins to serve: the other one recovers from what it has written, or from what was there before.
void halfServed() {
  Log log(false, orderSession);
  log.publishes(2);
  log.settles();
  log.leavesAhead();
  Attached one(*log.region, "one standby", false, false);
  Attached other(*log.region, "other standby", false, false);
  const auto sequencer = make_shared<Sequencer>(one.region, manual());
  const auto kept = make_shared<std::vector<shared_ptr<Sequencer>>>();
  atEnd([sequencer, kept] {});
  one.program.runs([sequencer] { static_cast<void>(sequencer->start()); });
  other.program.runs([kept, at = other.region] {
    while (newestSeen(*at).number < 2) Scheduler::now().giveWay(pause);
    for (bool serves = false; !serves;) {
      kept->push_back(make_shared<Sequencer>(at, manual()));
      serves = kept->back()->start(2).ok();
      if (!serves) Scheduler::now().giveWay(pause);
    }
  });
  atEnd([at = log.region] {
    const uint64_t epoch = newestSeen(*at).number;
    expect(peek<&SessionLine::Acknowledged::batches>(at->sessionLine(epoch, 0).acknowledged) == 2, "not all that was committed is recovered");
    expect(peek<&TopicLine::Committed::entries>(at->topicLine(epoch, 0).committed) == 2, "not each entry is recovered");
    expect(peek<&LaneLine::Frontiers::scanned>(at->laneLine(epoch, 0).frontiers) == 2, "not all that was scanned is recovered");
  });
}

// The order, and the room of its oldest batches, while a process attaches to its topic again and again: to what the server
// has left, to what the successor recovers, and to what it then trims.
// `visitorFirst`: of it and the standby.
void isWatched(Log& log, bool visitorFirst) {
  log.serves();
  Attached standby(*log.region, "standby", false, false);
  if (!visitorFirst) log.standsBy(standby, false);
  Attached visitor(*log.region, "visitor", false, false);
  visitor.program.runs([at = visitor.region, topic = log.topic, done = log.done] {
    while (!*done) {
      Claim place;
      if (claimReader(*at, topic, "visitor", place).ok()) visit(at, place);
      Scheduler::now().giveWay(pause);
    }
  });
  if (visitorFirst) log.standsBy(standby, false);
  log.ends(2);
}

void watched() {
  Log log(true, orderSession);
  log.publishes(6);
  log.settles();
  log.reads();
  log.publishes(1);
  isWatched(log, false);
}

// The same in the place of another topic, and the server has trimmed it before.
void watchedAnew() {
  Log log(true, orderSession);
  log.publishes(1);
  log.settles();
  log.reads();
  log.movesOn();
  log.publishes(6);
  log.settles();
  log.reads();
  log.settles();
  log.publishes(2);
  isWatched(log, true);
}

// A reader's process has died, and the server ends it and leaves. Behind the next server's takeover another one has its place.
void inherited() {
  Log log(false, orderSession);
  Attached gone(*log.region, "gone", false, false);
  gone.program.ahead([&] {
    Claim place;
    expectOk(claimReader(*gone.region, log.topic, "gone", place), "claiming a reader's place");
    IndexReader reader(gone.region, 0, place, 4);
    expectOk(reader.attach(From::start, 0), "attaching a reader");
    gone.region->close();
  });
  log.first.program.runs([serving = log.serving] {
    serving->endDead();
    serving->stop(true);
  });
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, false);
  Attached visitor(*log.region, "visitor", false, false);
  *log.guests += 1;
  visitor.program.runs([at = visitor.region, topic = log.topic, guests = log.guests] {
    while (newestSeen(*at).number == 1 || serverState(*at) != serverServing) Scheduler::now().giveWay(pause);
    Claim place;
    retry("the place of a dead reader does not come free", [&] { return claimReader(*at, topic, "visitor", place).ok(); }, pause);
    visit(at, place);
    *guests -= 1;
  });
  log.ends(1);
}

// Of several epochs in a row the last one has the first one's block, and a reader still looks for its entries there.
void laps() {
  Log log(false, orderSession);
  log.publishes(3);
  log.settles();
  log.leavesAhead();
  Attached next(*log.region, "next servers", false, false);
  next.program.ahead([&] {
    for (int i = 0; i < 2; i += 1) passBy(next.region);
  });
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, false);
  log.ends(6, true);
}

// Two candidates at once: the one with the smaller epoch may serve, and its clients believe it, before the other announces its
// own, which must then recover what they believe. It makes no pass. The head that each look begins with is the smaller's.
void crossed() {
  Log log(false, orderSession);
  log.goesOnAhead();
  log.leavesAhead();
  log.publishes(1);
  Attached greater(*log.region, "greater", false, false), smaller(*log.region, "smaller", false, false);
  const auto last = make_shared<Sequencer>(greater.region, manual());
  const auto between = make_shared<Sequencer>(smaller.region, manual());
  atEnd([last, between] {});
  // Until it begins, so that the other one takes the next block.
  smaller.program.ahead([&] { expect(smaller.region->tryLockBlock(0), "the block is not free"); });
  greater.program.runs([last] { static_cast<void>(last->start(2)); });
  smaller.program.runs([between, at = smaller.region] {
    at->unlockBlock();
    if (between->start(2).ok()) between->step();
  });
  log.looksOnce();
}

// A batch is published while another server takes the log over and goes to sleep: it is rung.
void asleep() {
  Log log(false, orderSession);
  log.goesOnAhead();
  log.leavesAhead();
  log.publisher.program.runs([publishing = log.publishing] {
    expect(publishing->publish(0, nullptr), "there is no room");
    for (Patience patience; publishing->lanes().committedBatches() == 0;) {
      expect(patience.lasts(), "a sequencer sleeps, and a batch stays where it is");
    }
  });
  Attached next(*log.region, "next server", false, false);
  const auto sequencer = make_shared<Sequencer>(next.region, SequencerOptions{});
  atEnd([sequencer] {});
  next.program.runs([sequencer] { expectOk(sequencer->start(), "taking the log over"); });
}

// Another server has taken the log over, trims it, and may die in the midst of that; then the first one has its log again.
// Meanwhile a process has attached to a place that the first one has looked at before. `anew`: it has claimed it meanwhile, too.
void hasItAgain(bool anew) {
  Log log(false, orderSession);
  log.publishes(6);
  log.settles();
  log.reads();
  log.publishes(1);
  Attached other(*log.region, "other server", false, true), visitor(*log.region, "visitor", false, false);
  Claim place;
  visitor.program.ahead([&] {
    if (!anew) expectOk(claimReader(*visitor.region, log.topic, "visitor", place), "claiming a reader's place");
  });
  const auto again = make_shared<Sequencer>(log.first.region, manual());
  atEnd([again] {});
  log.first.program.runs([=, at = log.first.region, serving = log.serving, done = log.done, process = &other.program.process()] {
    serving->endDead();
    while (!*done && serverOf(*at).state != serverDied) {
      static_cast<void>(at->publication().fullFence());
      if (!process->alive && serverOf(*at).own) *done = true;
      Scheduler::now().giveWay(pause);
    }
    for (int i = 0; i < 2 && !*done; i += 1) serving->endDead();
    if (!*done) {
      Status status = again->start();
      // A dead server's line may reach memory between two looks of one attempt.
      for (Patience patience; !status.ok() && std::strcmp(status.fault, "busy") == 0 && patience.lasts();) status = again->start();
      expectOk(status, "taking the log over again");
    }
    Log::serve(*again, *at, *done, false);
  });
  other.program.runs([at = other.region, done = log.done] {
    auto sequencer = make_shared<Sequencer>(at, manual());
    atEnd([sequencer] {});
    expectOk(sequencer->start(1), "taking the log over from a server that is suspected");
    Log::serve(*sequencer, *at, *done, false);
  });
  visitor.program.runs([=, at = visitor.region, topic = log.topic, done = log.done] {
    while (newestSeen(*at).number == 1 && !*done) Scheduler::now().giveWay(pause);
    if (*done) return;
    const shared_ptr<IndexReader> reader = attachedAs(at, topic, place, !anew);
    Scheduler::now().giveWay(pause);
    BatchView views[16];
    retry("not all is read", [&] {
      const int32_t filled = reader->poll(views, 16);
      expect(filled >= 0, "T4: what an attached reader holds contradicts itself");
      return reader->next() == 7 || *done;
    }, pause);
    reader->detach();
    *done = true;
  });
}
void returned() { hasItAgain(false); }
void returnedAnew() { hasItAgain(true); }

}  // namespace

Protocol takeoverProtocol() {
  Protocol protocol{"takeover", "a log outlives its server", {
    {"succession", "a server dies at any moment, and a standby continues its log", &succession},
    {"standbys", "two standbys want the log of a server that is gone", &standbys},
    {"suspicion", "a server that runs is suspected, and deposed in the midst of its passes", &suspicion},
    {"belated", "the same, and a batch is published while the standby reads the log", &belated},
    {"usurpation", "a standby is suspected in the midst of its recovery", &usurpation},
    {"heir", "a standby dies at any moment of its recovery, and the next one recovers", &heir},
    {"gap", "under order total batches were trimmed while an earlier one of their session is missing", &gap},
    {"handed down", "the same, and another server has had the log meanwhile", &handedDown},
    {"facts", "under order total a batch is committed ahead of a missing one, and the server dies at any moment", &facts},
    {"forgotten", "the same, and the batch is trimmed before", &forgotten},
    {"reclaimed", "a session closes that had such a batch, its slot is claimed again, and the server dies", &reclaimed},
    {"regained", "the same while the server is deposed and goes on", &regained},
    {"wrapped", "the place of a fact is another batch's as the missing one comes, and the server dies at any moment", &wrapped},
    {"overtaken", "the same while the server is deposed and goes on", &overtaken},
    {"last pass", "the same in the last pass of a server that is suspected", &inItsLastPass},
    {"ended last", "a session's batch is committed, and the session ends, in the last pass of a server that is suspected", &endedLast},
    {"unheard", "a server that is suspected makes its last pass, and only then its clients look", &unheard},
    {"crossed", "of two candidates the one with the smaller epoch serves before the other announces its own", &crossed},
    {"asleep", "a batch is published while another server takes the log over and goes to sleep", &asleep},
    {"returned", "a server has its log again behind one that died as it trimmed, and a process has attached meanwhile", &returned},
    {"returned anew", "the same, and the process has claimed its place meanwhile", &returnedAnew},
    {"half served", "a standby is suspected as it begins to serve", &halfServed},
    {"watched", "a process attaches again and again while the server dies and a standby takes over", &watched},
    {"watched anew", "the same in the place of a topic that was freed, and some of it was trimmed before", &watchedAnew},
    {"inherited", "a reader was found dead, and behind a takeover its place is another's", &inherited},
    {"laps", "an epoch has the block of the one that a reader looked at last", &laps},
  }};
  for (const Configuration& each : takeoverHeld()) protocol.configurations.push_back(each);
  for (const Configuration& each : takeoverBlocks()) protocol.configurations.push_back(each);
  for (const Configuration& each : takeoverLapped()) protocol.configurations.push_back(each);
  return protocol;
}

}  // namespace ringfence::explore
