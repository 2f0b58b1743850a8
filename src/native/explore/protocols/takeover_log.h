// A log that outlives its server, for the configurations of takeover: its clients, what they believe, and the servers that
// come and go.
#pragma once

#include <cstring>
#include <set>

#include "attached.h"
#include "explore/trace.h"
#include "log_ends.h"
#include "region/server.h"
#include "served.h"

namespace ringfence::explore::takeover {

using std::make_shared;
using std::shared_ptr;

constexpr uint64_t pause = 1'000'000;

inline Geometry geometryOf(uint32_t brokers) {
  Geometry g = logGeometry(1, brokers);
  g.readers = 2;
  g.epochBlocks = 3;
  g.processes = 8;
  return g;
}

inline SequencerOptions manual() {
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
  void leave() { reader_.detach(); }
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

// The room of each entry that is kept is kept, too.
inline void expectRoomKept(const Region& region, uint64_t epoch) {
  const TopicLine& topic = region.topicLine(epoch, 0);
  const uint64_t entries = peek<&TopicLine::Committed::entries>(topic.committed);
  for (uint64_t i = peek<&TopicLine::Retention::trim>(topic.retention); i < entries; i += 1) {
    const auto& entry = region.entry(epoch, 0, i);
    const LaneLine& lane = region.laneLine(epoch, peek<&IndexEntry::lane>(entry));
    const uint64_t released = peek<&LaneLine::Frontiers::released>(lane.frontiers);
    expect(peek<&IndexEntry::laneIndex>(entry) >= released, "the room of a batch is released that is kept");
  }
}

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
  shared_ptr<uint32_t> guests = make_shared<uint32_t>(0);  // visitors that the reader waits for: the servers stop behind it
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
    opens(order);
  }

  // The ends of the topic.
  void opens(Order order) {
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

  // The topic is freed for another one, which its ends use from then on.
  void movesOn() {
    publisher.program.ahead([&] { publishing->lanes().close(); });
    reader.program.ahead([&] { taking->leave(); });
    settles();
    TopicView next;
    TopicWish wish;
    const auto declares = [&] {
      Status status = Status::fine();
      publisher.program.ahead([&] { status = declareTopic(*publisher.region, "u", orderSession, 1, next, &wish); });
      return status.ok();
    };
    expect(!declares(), "a place is free that a topic has");
    settles();
    expect(declares(), "the place of a topic that is not used does not come free");
    topic = next.place();
    *published = 0;
    opens(orderSession);
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
  // The first server takes its own log over. Its successor has the first block then, whose head each look begins with.
  void goesOnAhead() {
    leavesAhead();
    first.program.ahead([&] {
      serving = make_shared<Sequencer>(first.region, manual());
      expectOk(serving->start(), "taking its own log over");
      settle();
    });
    atEnd([kept = serving] {});
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

  // The publisher and the reader look once each. What they then believe the newest epoch has recovered.
  void looksOnce() {
    publisher.program.runs([publishing = publishing, acknowledged = acknowledged] {
      *acknowledged = publishing->lanes().committedBatches();
    });
    reader.program.runs([taking = taking] { taking->take(); });
    atEnd([at = region, acknowledged = acknowledged, taking = taking] {
      const uint64_t epoch = newestSeen(*at).number;
      const uint64_t prefix = peek<&SessionLine::Acknowledged::batches>(at->sessionLine(epoch, 0).acknowledged);
      const uint64_t entries = peek<&TopicLine::Committed::entries>(at->topicLine(epoch, 0).committed);
      expect(*acknowledged <= prefix, "T1: more was acknowledged than is recovered");
      expect(taking->count() <= entries, "T1: more was read than is recovered");
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
                         acknowledged = acknowledged, guests = guests] {
      for (int i = 0; late && *published < all && i < pausesMax; i += 1) Scheduler::now().giveWay(pause);
      while (taking->count() < former + all) {
        taking->take();
        Scheduler::now().giveWay(pause);
      }
      while (*acknowledged < all || *guests != 0) Scheduler::now().giveWay(pause);
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
        const auto& head = at->blockHead(counters.epoch).head;
        const bool own = peek<&BlockHead::process>(head) == at->slot() && peek<&BlockHead::processGeneration>(head) == at->generation();
        expect(own, "the head of an epoch names another process than its server");
        expectRoomKept(*at, counters.epoch);
        expect(counters.duplicates == 0, "a batch is dropped as one that came twice");
        expectSequencerLines(*at, *sequencer, sequencer->sessions());
      });
      serve(*sequencer, *at, *done, grants);
      if (sequencer->deposedBy() != 0) sequencer->endDead();
    });
  }
};

// Attaches, reads what there is, and leaves.
inline void visit(const shared_ptr<Region>& at, Claim place) {
  IndexReader reader(at, 0, place, 4);
  const Status status = reader.attach(From::start, 0);
  if (!status.ok()) return expect(std::strcmp(status.fault, "recovering") == 0, "T4: a reader is not attached: " + status.detail);
  BatchView views[16];
  const int32_t filled = reader.poll(views, 16);
  expect(filled >= 0, "T4: what an attached reader holds contradicts itself");
  for (int32_t i = 0; i < filled; i += 1) checkContents(*at, views[i]);
  reader.detach();
}

// Seals the session's first two batches, and publishes the second.
inline void sealTwo(Log& log) {
  log.publisher.program.ahead([&] {
    for (; *log.published < 2; *log.published += 1) expect(log.publishing->seal(*log.published), "there is no room");
    log.publishing->lanes().publish(1);
  });
}

// Attaches a reader in a place that is claimed already, or claims others until one can be attached.
inline shared_ptr<IndexReader> attachedAs(const shared_ptr<Region>& at, TopicPlace topic, Claim place, bool claimed) {
  shared_ptr<IndexReader> reader;
  retry("a reader is not attached", [&] {
    if (!claimed && !claimReader(*at, topic, "visitor", place).ok()) return false;
    claimed = false;
    reader = make_shared<IndexReader>(at, 0, place, 4);
    return reader->attach(From::start, 0).ok();
  }, pause);
  return reader;
}

}  // namespace ringfence::explore::takeover
