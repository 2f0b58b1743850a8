#include "takeover.h"

#include <cstring>
#include <set>

#include "attached.h"
#include "log_ends.h"
#include "explore/trace.h"
#include "region/server.h"
#include "served.h"
#include "takeover_blocks.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

constexpr uint64_t pause = 1'000'000;

Geometry geometryOf(uint32_t brokers) {
  Geometry g = logGeometry(1, brokers);
  g.readers = 2;
  g.epochBlocks = 3;
  g.processes = 8;
  return g;
}

SequencerOptions manual() {
  SequencerOptions options;
  options.manual = true;
  return options;
}

// Reads a topic, and checks that the order is dense, that no batch comes twice, and what order `session` promises.
class Taking {
 public:
  Taking(shared_ptr<Region> region, Claim claim, Order order)
      : region_(std::move(region)), reader_(region_, 0, claim, 4), order_(order) {}

  bool attach() { return reader_.attach(From::start, 0).ok(); }
  uint64_t count() const { return seen_.size(); }

  bool take() {
    BatchView views[16];
    const int32_t filled = reader_.poll(views, 16);
    expect(filled >= 0, "the index contradicts itself");
    for (int32_t i = 0; i < filled; i += 1) check(views[i]);
    reader_.release(reader_.next());
    return filled > 0;
  }

 private:
  void check(const BatchView& view) {
    expect(view.position == position_, "T1: the order is not dense");
    position_ += view.messages;
    expect(order_ == orderTotal || view.batchSequence == seen_.size(), "a session's batches are not in order");
    expect(seen_.insert({view.sessionId, view.batchSequence}).second, "T1: a batch comes twice");
    checkContents(*region_, view);
    Trace::say("has batch " + std::to_string(view.batchSequence));
  }

  shared_ptr<Region> region_;
  IndexReader reader_;
  Order order_;
  uint64_t position_ = 0;
  std::set<std::pair<uint64_t, uint64_t>> seen_;  // by session and sequence
};

// Batches that the publisher has sealed in that broker's lane, to publish once the reader has so many.
struct SealedIn {
  uint32_t broker;
  uint64_t behind;
};

// A log with a publisher and a reader, and what they believe. Servers come and go.
struct Log {
  shared_ptr<Region> region;
  Attached first;
  Attached publisher;
  Attached reader;
  shared_ptr<Sequencer> serving;  // of the first server
  TopicPlace topic{};
  shared_ptr<Publishing> publishing;
  shared_ptr<Taking> taking;
  shared_ptr<uint64_t> published = make_shared<uint64_t>(0);
  shared_ptr<uint64_t> acknowledged = make_shared<uint64_t>(0);  // as the publisher believes
  shared_ptr<bool> done = make_shared<bool>(false);  // all that was published is acknowledged and read
  uint64_t former = 0;  // batches of the publisher's former session, all read

  Log(bool mortal, Order order, uint32_t brokers = 1)
      : region(made(geometryOf(brokers))), first(*region, "first server", false, mortal),
        publisher(*region, "publisher", false, false), reader(*region, "reader", false, false) {
    first.program.ahead([&] {
      serving = make_shared<Sequencer>(first.region, manual());
      expectOk(serving->start(), "starting the first server");
      TopicView declared;
      expectOk(declareTopic(*first.region, "t", order, 1, declared), "declaring the topic");
      topic = declared.place();
      settle();
    });
    atEnd([kept = serving] {});
    Claim claim;
    publisher.program.ahead([&] { expectOk(claimClient(*publisher.region, topic, claim), "claiming a session"); });
    first.program.ahead([&] { settle(); });
    publisher.program.ahead([&] {
      publishing = Publishing::of(publisher.region, claim);
      expect(publishing->ready(), "the session is not admitted");
    });
    reader.program.ahead([&] {
      Claim place;
      expectOk(claimReader(*reader.region, topic, "reader", place), "claiming a reader's place");
      taking = make_shared<Taking>(reader.region, place, order);
      expect(taking->attach(), "the reader is not attached");
    });
    atEnd([kept = taking] {});
  }

  void settle() {
    for (bool moved = true; moved;) {
      moved = serving->step();
      for (uint32_t b = 0; b < first.region->layout().geometry.brokers; b += 1) moved = grantLanes(*first.region, b) != 0 || moved;
    }
  }

  // Ahead of the schedule.
  void publishes(uint64_t batches) {
    publisher.program.ahead([&] {
      for (uint64_t i = 0; i < batches; i += 1) expect(publishing->publish((*published)++, nullptr), "there is no room");
    });
  }
  void settles() {
    first.program.ahead([&] { settle(); });
  }
  void reads() {
    reader.program.ahead([&] {
      while (taking->take()) continue;
    });
  }
  // The first server is gone, and its log is kept.
  void leavesAhead() {
    first.program.ahead([&] { serving->stop(true); });
  }

  // The publisher closes its session, whose batches are all read, and claims the slot again.
  void reclaims() {
    Claim claim;
    publisher.program.ahead([&] { publishing->lanes().close(); });
    settles();
    publisher.program.ahead([&] {
      expectOk(claimClient(*publisher.region, topic, claim), "claiming the slot again");
      publishing = Publishing::of(publisher.region, claim);
    });
    former = *published;
    *published = 0;
  }

  // A server makes passes until everything is done, or it was replaced. It grants lanes if a session waits for them.
  static void serve(Sequencer& sequencer, const Region& at, const bool& done, bool grants) {
    while (!done && sequencer.deposedBy() == 0) {
      sequencer.step();
      for (uint32_t b = 0; grants && b < at.layout().geometry.brokers; b += 1) grantLanes(at, b);
      Scheduler::now().giveWay(pause);
    }
  }
  void serves() {
    first.program.runs([serving = serving, done = done, at = first.region, grants = former != 0, topic = topic] {
      if (grants) expect(serving->keepTopic(topic) || serving->deposedBy() != 0, "the topic is not kept");
      serve(*serving, *at, *done, grants);
    });
  }

  // The first server makes one pass, its last, while a standby that suspects it takes over. Of the session so many batches must
  // then be committed without a gap.
  void lastPass(Attached& standby, uint64_t prefix, uint32_t reason) {
    first.program.runs([serving = serving] { serving->step(); });
    standby.program.runs([at = standby.region, prefix, reason] {
      auto sequencer = make_shared<Sequencer>(at, manual());
      atEnd([sequencer] {});
      expectOk(sequencer->start(1), "taking the log over from a server that is suspected");
      while (sequencer->step()) continue;
      const auto& line = at->sessionLine(sequencer->counters().epoch, 0).acknowledged;
      expect(peek<&SessionLine::Acknowledged::batches>(line) == prefix, "T1: what was published is not committed without a gap");
      expect(peek<&SessionLine::Acknowledged::endReason>(line) == reason, "T1: the session was ended for another reason");
    });
  }

  // The publisher publishes what it has sealed in each of these lanes once the reader has so many batches, then so many
  // more, and waits until all is acknowledged; the reader reads all of it. `late`: not before the publisher waits for its
  // room.
  void ends(uint64_t more, bool late = false, const std::vector<SealedIn>& sealed = {}) {
    const uint64_t all = *published + more;
    publisher.program.runs([=, former = former, publishing = publishing, published = published, taking = taking,
                            acknowledged = acknowledged] {
      while (!publishing->ready()) Scheduler::now().giveWay(pause);
      for (const SealedIn& each : sealed) {
        while (taking->count() < former + each.behind) Scheduler::now().giveWay(pause);
        publishing->lanes().publish(each.broker);
      }
      while (*published < all || publishing->lanes().committedBatches() < all) {
        if (*published < all && publishing->seal(*published)) {
          publishing->lanes().publish(publishing->brokerOf(*published));
          *published += 1;
        }
        const uint64_t now = publishing->lanes().committedBatches();
        expect(now >= *acknowledged, "T1: an acknowledgement was taken back");
        expect(publishing->lanes().endReason() == endNone, "the session was ended");
        *acknowledged = now;
        Scheduler::now().giveWay(pause);
      }
      *acknowledged = all;
    });
    reader.program.runs([=, former = former, taking = taking, done = done, published = published,
                         acknowledged = acknowledged] {
      for (int i = 0; late && *published < all && i < pausesMax; i += 1) Scheduler::now().giveWay(pause);
      while (taking->count() < former + all) {
        taking->take();
        Scheduler::now().giveWay(pause);
      }
      while (*acknowledged < all) Scheduler::now().giveWay(pause);
      *done = true;
    });
    atEnd([=, former = former, taking = taking, acknowledged = acknowledged] {
      expect(taking->count() == former + all && *acknowledged == all, "what was published is not read and acknowledged");
    });
  }

  // A process that takes the log over once its server is dead, or is suspected, and then serves it.
  void standsBy(Attached& place, bool suspicious) {
    place.program.runs([=, at = place.region, done = done, acknowledged = acknowledged, taking = taking, grants = former != 0] {
      auto sequencer = make_shared<Sequencer>(at, manual());
      while (!*done) {
        const ServerView server = serverOf(*at);
        if (server.state == serverDied || (suspicious && !server.own)) {
          const Status status = sequencer->start(suspicious ? server.epoch : 0);
          if (status.ok()) {
            const uint64_t epoch = sequencer->counters().epoch;
            const uint64_t prefix = peek<&SessionLine::Acknowledged::batches>(at->sessionLine(epoch, 0).acknowledged);
            const uint64_t entries = peek<&TopicLine::Committed::entries>(at->topicLine(epoch, 0).committed);
            expect(*acknowledged <= prefix, "T1: more was acknowledged than is recovered");
            expect(taking->count() <= entries, "T1: more was read than is recovered");
            break;
          }
          const bool later = std::strcmp(status.fault, "busy") == 0 || std::strcmp(status.fault, "blocked") == 0;
          expect(later, std::string("no server: ") + status.fault);
          sequencer = make_shared<Sequencer>(at, manual());
        }
        Scheduler::now().giveWay(pause);
      }
      atEnd([at, sequencer, process = Scheduler::now().currentProcess()] {
        if (!Scheduler::rests(*process)) return;
        const SequencerCounters counters = sequencer->counters();
        if (counters.epoch == 0 || counters.deposed) return;
        expectSequencerLines(*at, *sequencer, sequencer->sessions());
      });
      serve(*sequencer, *at, *done, grants);
      if (sequencer->deposedBy() != 0) sequencer->endDead();
    });
  }
};

// Attaches, reads what there is, and leaves.
void visit(const shared_ptr<Region>& at, Claim place) {
  IndexReader reader(at, 0, place, 4);
  const Status status = reader.attach(From::start, 0);
  if (!status.ok()) return expect(std::strcmp(status.fault, "recovering") == 0, "T4: a reader is not attached: " + status.detail);
  BatchView views[16];
  const int32_t filled = reader.poll(views, 16);
  expect(filled >= 0, "T4: what an attached reader holds contradicts itself");
  for (int32_t i = 0; i < filled; i += 1) checkContents(*at, views[i]);
  reader.detach();
}

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
  log.publishes(2);
  log.settles();
  log.leavesAhead();
  Attached one(*log.region, "one standby", false, false);
  Attached other(*log.region, "other standby", false, false);
  log.standsBy(one, false);
  log.standsBy(other, true);
  log.ends(0);
}

// Servers that take the log over in turn, ahead of the schedule.
void takeInTurn(Attached& next, int servers) {
  next.program.ahead([&] {
    for (int i = 0; i < servers; i += 1) {
      Sequencer sequencer(next.region, manual());
      expectOk(sequencer.start(), "starting the next server");
      sequencer.stop(true);
    }
  });
}

// Under order `total` batches are committed and trimmed while the session's first one is missing; then the server dies.
// `servers`: how many take the log over, one after the other, ahead of the one that goes on with it.
void gapUnder(int servers) {
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
  Attached next(*log.region, "next servers", false, false);
  takeInTurn(next, servers);
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, false);
  log.publisher.program.ahead([&] { log.publishing->lanes().publish(0); });
  log.ends(0);
}
void gap() { gapUnder(0); }
void handedDown() { gapUnder(1); }

// Seals the session's first two batches, and publishes the second.
void sealTwo(Log& log) {
  log.publisher.program.ahead([&] {
    for (; *log.published < 2; *log.published += 1) expect(log.publishing->seal(*log.published), "there is no room");
    log.publishing->lanes().publish(1);
  });
}

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
  log.publisher.program.runs([publishing = log.publishing, acknowledged = log.acknowledged] {
    *acknowledged = publishing->lanes().committedBatches();
  });
  log.reader.program.runs([taking = log.taking] { taking->take(); });
  atEnd([at = log.region, acknowledged = log.acknowledged, taking = log.taking] {
    const uint64_t epoch = newestSeen(*at).number;
    const uint64_t prefix = peek<&SessionLine::Acknowledged::batches>(at->sessionLine(epoch, 0).acknowledged);
    const uint64_t entries = peek<&TopicLine::Committed::entries>(at->topicLine(epoch, 0).committed);
    expect(*acknowledged <= prefix, "T1: more was acknowledged than is recovered");
    expect(taking->count() <= entries, "T1: more was read than is recovered");
  });
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
void watched() {
  Log log(true, orderSession);
  log.publishes(6);
  log.settles();
  log.reads();
  log.publishes(1);
  log.serves();
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, false);
  Attached visitor(*log.region, "visitor", false, false);
  visitor.program.runs([at = visitor.region, topic = log.topic, done = log.done] {
    while (!*done) {
      Claim place;
      if (claimReader(*at, topic, "visitor", place).ok()) visit(at, place);
      Scheduler::now().giveWay(pause);
    }
  });
  log.ends(2);
}

// Of several epochs in a row the last one has the first one's block, and a reader still looks for its entries there.
void laps() {
  Log log(false, orderSession);
  log.publishes(3);
  log.settles();
  log.leavesAhead();
  Attached next(*log.region, "next servers", false, false);
  takeInTurn(next, 2);
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, false);
  log.ends(6, true);
}

}  // namespace

Protocol takeoverProtocol() {
  Protocol protocol{"takeover", "a log outlives its server", {
    {"succession", "a server dies at any moment, and a standby continues its log", &succession},
    {"standbys", "two standbys want the log of a server that is gone", &standbys},
    {"suspicion", "a server that runs is suspected, and deposed in the midst of its passes", &suspicion},
    {"usurpation", "a standby is suspected in the midst of its recovery", &usurpation},
    {"heir", "a standby dies at any moment of its recovery, and the next one recovers", &heir},
    {"gap", "under order total batches were trimmed while an earlier one of their session is missing", &gap},
    {"handed down", "the same, and another server has had the log meanwhile", &handedDown},
    {"facts", "under order total a batch is committed ahead of a missing one, and the server dies at any moment", &facts},
    {"reclaimed", "a session closes that had such a batch, its slot is claimed again, and the server dies", &reclaimed},
    {"regained", "the same while the server is deposed and goes on", &regained},
    {"wrapped", "the place of a fact is another batch's as the missing one comes, and the server dies at any moment", &wrapped},
    {"overtaken", "the same while the server is deposed and goes on", &overtaken},
    {"last pass", "the same in the last pass of a server that is suspected", &inItsLastPass},
    {"ended last", "a session's batch is committed, and the session ends, in the last pass of a server that is suspected", &endedLast},
    {"unheard", "a server that is suspected makes its last pass, and only then its clients look", &unheard},
    {"half served", "a standby is suspected as it begins to serve", &halfServed},
    {"watched", "a process attaches again and again while the server dies and a standby takes over", &watched},
    {"laps", "an epoch has the block of the one that a reader looked at last", &laps},
  }};
  for (const Configuration& each : takeoverBlocks()) protocol.configurations.push_back(each);
  return protocol;
}

}  // namespace ringfence::explore
