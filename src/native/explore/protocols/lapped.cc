#include "lapped.h"

#include <algorithm>

#include "explore/trace.h"
#include "log/lapped_reader.h"
#include "takeover_log.h"

namespace ringfence::explore {

namespace {

using takeover::Log;

// So that the others come a few batches further between two looks.
constexpr uint64_t slowPause = 4 * takeover::pause;

// What it copies is whole, in order, and missing only where it was trimmed. Of one session, all of whose records the topic
// has: so a batch stands where its session counts it.
class Following {
 public:
  Following(std::shared_ptr<Region> region, Claim claim) : region_(std::move(region)), reader_(region_, 0, claim, 4) {}

  // What was trimmed ahead of its beginning is not missing: it begins at the frontier, which the firm one may not have reached.
  void attach() {
    expectOk(reader_.attach(From::start, 0), "attaching a reader that holds nothing back");
    next_ = reader_.position();
  }
  uint64_t next() const { return next_; }

  // `served`: by one server alone, so what is missing lies below its firm frontier.
  void take(bool served) {
    Model::now().excuse(&Following::isOvertaken, this);
    BatchView views[atOnce];
    const int32_t filled = reader_.copy(views, atOnce, copies_, sizeof(copies_));
    expect(filled >= 0, "the index contradicts itself");
    for (int32_t i = 0; i < filled; i += 1) check(views[i], served);
    reader_.release(reader_.next());
  }

 private:
  static constexpr uint32_t atOnce = 3;

  // Whether what it copies may be overwritten: then it must throw the copy away, which `check` judges.
  static bool isOvertaken(void* self) {
    const auto& own = *static_cast<Following*>(self);
    const Region& region = *own.region_;
    const uint64_t epoch = newestSeen(region).number;
    return peek<&TopicLine::Retention::firmTrim>(region.topicLine(epoch, 0).retention) > own.reader_.next();
  }

  void check(const BatchView& view, bool served) {
    expect(view.position == recordsAhead(view.batchSequence), "a batch stands elsewhere than was committed");
    expect(view.position >= next_, "a batch comes twice");
    if (view.position > next_) {
      Trace::say("was overtaken");
      const TopicLine& lines = region_->topicLine(1, 0);
      const uint64_t kept = std::max(peek<&TopicLine::Retention::firmTrim>(lines.retention),
                                     peek<&TopicLine::Retention::firmTrim>(lines.retentionSpare));
      expect(!served || view.index <= kept, "a batch is missing that is kept");
    }
    next_ = view.position + view.messages;
    checkCopied(view, copies_ + view.payloadOffset);
    Trace::say("has batch " + std::to_string(view.batchSequence));
  }

  std::shared_ptr<Region> region_;
  LappedReader reader_;
  uint64_t next_ = 0;
  uint8_t copies_[atOnce * 4096];
};

std::shared_ptr<Following> arrival(const std::shared_ptr<Region>& region, TopicPlace topic) {
  Claim claim;
  expectOk(claimReader(*region, topic, "follower", claim), "claiming a reader's place");
  auto following = std::make_shared<Following>(region, claim);
  following->attach();
  return following;
}

std::shared_ptr<Following> follows(Attached& place, TopicPlace topic) {
  std::shared_ptr<Following> following;
  place.program.ahead([&] { following = arrival(place.region, topic); });
  atEnd([following] {});
  return following;
}

// A publisher goes round its lane while a reader copies that it does not wait for.
struct Lapping {
  static constexpr uint64_t ahead = 5, batches = 12;
  Served log;
  Attached reader;
  Attached publisher;

  explicit Lapping(uint32_t readers)
      : log(geometryOf(readers)), reader(*log.server.region, "reader", false), publisher(*log.server.region, "publisher") {}

  // `comes`: the reader attaches meanwhile.
  void runs(bool comes = false);
  // The same but for the reader.
  void publishes();

 private:
  static Geometry geometryOf(uint32_t readers) {
    Geometry g = logGeometry();
    g.readers = readers;
    return g;
  }
};

void Lapping::publishes() {
  const auto publishing = log.publishes(publisher);
  publisher.program.ahead([&] {
    for (uint64_t i = 0; i < ahead; i += 1) publishing->publish(i, nullptr);
  });
  log.server.program.ahead([&] { log.serving->settle(); });
  log.runs();
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    for (uint64_t i = ahead; i < batches; i += 1) {
      if (!publishing->publish(i, sleeper.get())) expect(false, "a living session has ended");
    }
  });
}

void Lapping::runs(bool comes) {
  const auto there = comes ? nullptr : follows(reader, log.topic);
  publishes();
  reader.program.runs([=, region = reader.region, topic = log.topic] {
    const auto following = there == nullptr ? arrival(region, topic) : there;
    while (following->next() < recordsAhead(batches) && !Scheduler::now().deaths()) {
      following->take(true);
      Scheduler::now().giveWay(takeover::pause);
    }
  });
}

void lapped() { Lapping(1).runs(); }
void lappedFromItsStart() { Lapping(1).runs(true); }

// It attaches, and does not look: the publisher goes on.
void lappedAtRest() {
  Lapping lapping(1);
  lapping.publishes();
  lapping.reader.program.runs([region = lapping.reader.region, topic = lapping.log.topic] {
    const auto following = arrival(region, topic);
    atEnd([following] {});
  });
}

// Beside it another reader attaches, for which memory is kept until it leaves: what is about to be trimmed is kept then after
// all, so the first one misses none of that.
void lappedBeside() {
  Lapping lapping(2);
  Attached gate(*lapping.log.server.region, "gate", false, false);
  const auto subscribing = lapping.log.subscribes(gate, false);
  lapping.runs();
  gate.program.runs([=] {
    if (!subscribing->attach(From::start)) return expect(false, "a reader that begins with the oldest is refused");
    Scheduler::now().giveWay(takeover::pause);
    subscribing->take();
    subscribing->reader().detach();
  });
}

// A server that runs is deposed while the reader copies, and its successor gives on what the reader has not read.
void lappedOver(bool dies) {
  Log log(dies, orderSession);
  if (!dies) log.goesOnAhead();
  log.publishes(4);
  log.settles();
  log.serves();
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, !dies);
  Attached place(*log.region, "follower", false, false);
  const auto following = follows(place, log.topic);
  place.program.runs([following, done = log.done] {
    while (!*done) {
      following->take(false);
      Scheduler::now().giveWay(slowPause);
    }
  });
  log.ends(7);
}
void lappedByHeir() { lappedOver(true); }
void lappedByRival() { lappedOver(false); }

}  // namespace

std::vector<Configuration> logLapped() {
  return {
      {"lapped", "a publisher goes round its lane under a reader that holds nothing back", &lapped},
      {"lapped from its start", "the same where the reader attaches meanwhile", &lappedFromItsStart},
      {"lapped at rest", "the same where the reader attaches, and does not look", &lappedAtRest},
      {"lapped beside a gate", "the same, and a reader attaches for which memory is kept until it leaves", &lappedBeside},
  };
}

std::vector<Configuration> takeoverLapped() {
  return {
      {"lapped", "a server dies at any moment while a reader that holds nothing back copies", &lappedByHeir},
      {"lapped by a rival", "the same, and the server is suspected, deposed, and goes on", &lappedByRival},
  };
}

}  // namespace ringfence::explore
