#include "lanes.h"

#include <map>
#include <vector>

#include "explore/trace.h"
#include "log/lane_reader.h"
#include "region/token.h"
#include "served.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

constexpr uint64_t pauseNanos = 30'000'000;
constexpr int pausesMax = 40;

bool deaths() { return Scheduler::now().deaths(); }

// A subscriber of a topic of order `none`, and what it got of the sessions of the one slot.
class Taking {
 public:
  Taking(shared_ptr<Region> region, Claim claim, uint32_t topic = 0)
      : region_(std::move(region)), reader_(region_, topic, claim, 4) {}

  bool attach(From from) {
    const Status status = reader_.attach(from, 0);
    if (!status.ok()) Trace::say(std::string("is not attached: ") + status.fault);
    return status.ok();
  }

  // `pause`, in nanoseconds: how long it holds what it takes.
  void take(uint64_t pause = 0) {
    BatchView views[16];
    const int32_t filled = reader_.poll(views, 16);
    expect(filled >= 0, "what is read contradicts itself");
    for (int32_t i = 0; i < filled; i += 1) check(views[i]);
    if (pause != 0 && filled != 0) Scheduler::now().giveWay(pause);
    for (int32_t i = 0; pause != 0 && i < filled; i += 1) checkContents(*region_, views[i]);
    reader_.release(reader_.next());
  }

  // Receives until it has that many batches, or a process has died: then it takes what there is.
  void receive(uint64_t batches, Sleeper& sleeper) {
    while (count_ < batches && !deaths()) {
      const auto look = [&] { return reader_.committed() > reader_.next() || deaths(); };
      sleeper.until(sleepsForData, "a batch", look, [&] { return moreIsThere(); });
      take();
    }
    for (int i = 0; count_ < batches && i < 10; i += 1) {
      Scheduler::now().giveWay(pauseNanos);
      take();
    }
  }

  LaneReader& reader() { return reader_; }
  uint64_t count() const { return count_; }
  // The sequences of the batches that it took of the session of that generation.
  const std::vector<uint64_t>& of(uint64_t generation) { return taken_[generation]; }
  // Whether the descriptor behind those that it took is published, in the lane of the present generation.
  bool moreIsThere() const {
    const uint64_t generation = peek<&ClientClaim::generation>(region_->client(0).claim);
    for (uint64_t session = 1; session <= generation; session += 1) {
      if (isPublished(*region_, count_, session)) return true;
    }
    return false;
  }

  static bool isPublished(const Region& region, uint64_t index, uint64_t generation) {
    return peek<&Descriptor::token>(region.descriptor(0, index)) == readyToken(region.mark(), index, generation);
  }

 private:
  void check(const BatchView& view) {
    checkContents(*region_, view);
    const uint64_t clients = region_->layout().geometry.clients;
    const uint64_t generation = (view.sessionId - 1) / clients + 1;
    const auto [last, first] = last_.try_emplace({generation, view.lane}, view.batchSequence);
    const uint64_t step = region_->layout().geometry.brokers;
    expect(first || view.batchSequence == last->second + step, "a lane's batches are not in order");
    last->second = view.batchSequence;
    taken_[generation].push_back(view.batchSequence);
    count_ += 1;
  }

  shared_ptr<Region> region_;
  LaneReader reader_;
  uint64_t count_ = 0;
  std::map<uint64_t, std::vector<uint64_t>> taken_;
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> last_;  // by generation and lane
};

shared_ptr<Taking> taker(Served& log, Attached& place, bool attached = true) {
  shared_ptr<Taking> taking;
  place.program.ahead([&] {
    Claim claim;
    expectOk(claimReader(*place.region, log.topic, "reader", claim), "claiming a reader's place");
    taking = make_shared<Taking>(place.region, claim);
    if (attached) expect(taking->attach(From::start), "the reader is not attached");
  });
  return taking;
}

// A reader of another topic.
shared_ptr<Taking> takerOf(TopicPlace topic, Attached& place) {
  shared_ptr<Taking> taking;
  place.program.ahead([&] {
    Claim claim;
    expectOk(claimReader(*place.region, topic, "reader", claim), "claiming a reader's place");
    taking = make_shared<Taking>(place.region, claim, topic.index);
    expect(taking->attach(From::start), "the reader is not attached");
  });
  return taking;
}

// Everything that was published in the lane since its beginning, by the sessions of those generations in turn.
uint64_t publishedBy(const Region& region, uint64_t generations) {
  uint64_t index = 0;
  for (uint64_t generation = 1; generation <= generations; generation += 1) {
    while (Taking::isPublished(region, index, generation)) index += 1;
  }
  return index;
}

// One session, one reader. A reader that lives takes all that is published, also when another process dies.
void takeAll(uint64_t batches) {
  Served log(logGeometry(), false, orderNone);
  Attached reader(*log.server.region, "reader");
  Attached publisher(*log.server.region, "publisher");
  const auto taking = taker(log, reader);
  const auto publishing = log.publishes(publisher);
  const auto done = make_shared<bool>(false);
  log.runs();
  reader.program.runs([=, sleeper = reader.sleeper] {
    taking->receive(batches, *sleeper);
    *done = true;
  });
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    for (uint64_t i = 0; i < batches; i += 1) {
      if (!publishing->publish(i, sleeper.get())) expect(false, "a living session has ended");
    }
    publishing->lanes().close();
  });
  atEnd([=, region = reader.region] {
    if (!*done || batches > region->layout().geometry.laneSlots) return;
    expect(taking->count() == publishedBy(*region, 1), "what was published is not what was taken");
  });
}

void take() { takeAll(2); }
void room() { takeAll(11); }

// Two readers, each at its own pace: the publisher waits for the slower one.
void readers() {
  constexpr uint64_t batches = 9;
  Geometry g = logGeometry();
  g.readers = 2;
  Served log(g, false, orderNone);
  Attached first(*log.server.region, "first");
  Attached second(*log.server.region, "second");
  Attached publisher(*log.server.region, "publisher");
  const shared_ptr<Taking> takings[] = {taker(log, first), taker(log, second)};
  const auto publishing = log.publishes(publisher);
  log.runs();
  for (int i = 0; i < 2; i += 1) {
    Attached& reader = i == 0 ? first : second;
    reader.program.runs([=, taking = takings[i], sleeper = reader.sleeper] {
      taking->receive(batches, *sleeper);
      expect(deaths() || taking->count() == batches, "what was published is not what was taken");
    });
  }
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    for (uint64_t i = 0; i < batches; i += 1) {
      if (!publishing->publish(i, sleeper.get())) expect(false, "a living session has ended");
    }
  });
}

// The sequencer releases the oldest batches while a reader attaches that begins with them, and the publisher has their
// room.
void release() {
  Served log(logGeometry(), false, orderNone);
  Attached reader(*log.server.region, "reader");
  Attached publisher(*log.server.region, "publisher");
  const auto taking = taker(log, reader, false);
  const auto publishing = log.publishes(publisher);
  publisher.program.ahead([&] {
    for (uint64_t i = 0; i < 6; i += 1) publishing->publish(i, nullptr);
  });
  log.server.program.ahead([&] { log.serving->settle(); });
  log.runs();
  const auto done = make_shared<bool>(false);
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    for (uint64_t i = 6; i < 13; i += 1) {
      if (!publishing->publish(i, sleeper.get())) expect(false, "a living session has ended");
    }
    *done = true;
  });
  reader.program.runs([=] {
    if (!taking->attach(From::start)) return expect(false, "a reader that begins with the oldest is refused");
    for (int i = 0; i < 4 || !(*done || deaths()); i += 1) {
      taking->take();
      Scheduler::now().giveWay(pauseNanos);
    }
  });
}

shared_ptr<Publishing> opened(const shared_ptr<Region>& region, TopicPlace topic) {
  Claim claim;
  for (int i = 0; !claimClient(*region, topic, claim).ok(); i += 1) {
    expect(i < pausesMax, "the slot of a session that has ended does not come free");
    Scheduler::now().giveWay(pauseNanos);
  }
  const auto publishing = Publishing::of(region, claim);
  for (int i = 0; !publishing->ready(); i += 1) {
    expect(i < pausesMax, "a session is not admitted");
    Scheduler::now().giveWay(pauseNanos);
  }
  return publishing;
}

// A session ends or dies, and the next one gets its slot and its lanes, while a reader takes the batches of both.
void reuse() {
  Served log(logGeometry(), false, orderNone);
  Attached reader(*log.server.region, "reader");
  Attached former(*log.server.region, "former");
  Attached next(*log.server.region, "next", true, false);
  const auto taking = taker(log, reader);
  const auto publishing = log.publishes(former);
  const auto done = make_shared<bool>(false);
  log.runs();
  former.program.runs([=] {
    publishing->publish(0, nullptr);
    publishing->publish(1, nullptr);
    publishing->seal(2);  // never published
    publishing->lanes().close();
  });
  next.program.runs([=, topic = log.topic, region = next.region] {
    const auto own = opened(region, topic);
    own->publish(0, nullptr);
    own->lanes().close();
  });
  reader.program.runs([=, sleeper = reader.sleeper] {
    taking->receive(3, *sleeper);
    for (int i = 0; taking->of(2).empty() && i < pausesMax; i += 1) {
      Scheduler::now().giveWay(pauseNanos);
      taking->take();
    }
    *done = true;
  });
  atEnd([=, region = reader.region] {
    if (!*done) return;
    expect(taking->count() == publishedBy(*region, 2), "what was published is not what was taken");
    expect(taking->of(2).size() == 1, "the next session's batch is not taken");
  });
}

// A session has two lanes, and so has the slot's next one.
void brokers() {
  Served log(logGeometry(1, 2), false, orderNone);
  Attached reader(*log.server.region, "reader", false);
  Attached former(*log.server.region, "former", false);
  Attached next(*log.server.region, "next", false, false);
  const auto taking = taker(log, reader);
  const auto publishing = log.publishes(former);
  log.runs();
  former.program.runs([=] {
    for (uint64_t i = 0; i < 3; i += 1) publishing->publish(i, nullptr);
    publishing->lanes().close();
  });
  next.program.runs([=, topic = log.topic, region = next.region] {
    const auto own = opened(region, topic);
    for (uint64_t i = 0; i < 3; i += 1) own->publish(i, nullptr);
  });
  reader.program.runs([=] {
    for (int i = 0; taking->of(2).size() < 3; i += 1) {
      expect(i < 2 * pausesMax, "the next session's batches are not taken");
      taking->take();
      Scheduler::now().giveWay(pauseNanos);
    }
    expect(deaths() || taking->of(1).size() == 3, "the former session's batches are not all taken");
  });
}

// A lane of a session is damaged while its reader holds what it took of the other; the next session has the slot.
void damaged() {
  Served log(logGeometry(1, 2), false, orderNone);
  Attached reader(*log.server.region, "reader", false);
  Attached former(*log.server.region, "former", false);
  Attached next(*log.server.region, "next", false, false);
  const auto taking = taker(log, reader);
  const auto publishing = log.publishes(former);
  log.runs();
  former.program.runs([=] {
    publishing->publish(1, nullptr);
    publishing->publishDamaged(0);
    publishing->publish(3, nullptr);
    for (int i = 0; i < pausesMax && publishing->lanes().endReason() == endNone; i += 1) {
      Scheduler::now().giveWay(pauseNanos);
    }
    publishing->lanes().close();
  });
  next.program.runs([=, topic = log.topic, region = next.region] {
    const auto own = opened(region, topic);
    for (uint64_t i = 0; i < 12; i += 1) {
      if (own->seal(i)) own->lanes().publish(own->brokerOf(i));
    }
  });
  reader.program.runs([=] {
    for (int i = 0; taking->of(2).empty(); i += 1) {
      expect(i < 2 * pausesMax, "the next session's batches are not taken");
      taking->take(3 * pauseNanos);
      Scheduler::now().giveWay(pauseNanos);
    }
  });
}

// Two topics, with a reader each, in places of the same number. A session of the one ends, and the slot's next session
// is of the other.
void other() {
  Geometry g = logGeometry();
  g.topics = 2;
  Served log(g, false, orderNone);
  Attached one(*log.server.region, "one", false);
  Attached two(*log.server.region, "two", false, false);
  Attached former(*log.server.region, "former", false, false);
  Attached next(*log.server.region, "next", true, false);
  TopicPlace second{};
  log.server.program.ahead([&] {
    TopicView declared;
    expectOk(declareTopic(*log.server.region, "u", orderNone, 0, declared), "declaring the other topic");
    second = declared.place();
    log.serving->settle();
  });
  const auto first = taker(log, one);
  const auto later = takerOf(second, two);
  const auto publishing = log.publishes(former);
  former.program.ahead([&] { publishing->publish(0, nullptr); });
  one.program.ahead([&] { first->take(); });
  log.server.program.ahead([&] { log.serving->settle(); });
  log.runs();
  one.program.runs([=] {
    for (int i = 0; i < 3; i += 1) {
      first->take();
      Scheduler::now().giveWay(pauseNanos);
    }
  });
  former.program.runs([=] { publishing->lanes().close(); });
  next.program.runs([=, region = next.region, sleeper = next.sleeper] {
    const auto own = opened(region, second);
    for (uint64_t i = 0; i < 3; i += 1) {
      if (!own->publish(i, sleeper.get())) expect(false, "a living session has ended");
    }
    own->lanes().close();
    for (int i = 0; !sessionOver(*region, 0, 2); i += 1) {
      expect(i < pausesMax, "a session that has closed, and of which all is taken, does not end");
      Scheduler::now().giveWay(pauseNanos);
    }
  });
  two.program.runs([=] {
    for (int i = 0; i < pausesMax; i += 1) {
      later->take();
      Scheduler::now().giveWay(pauseNanos);
    }
  });
}

// A reader attaches at the end while batches are published: it takes all that are published from then on. Another has had
// its place, and has left.
void end() {
  constexpr uint64_t batches = 5;
  Served log(logGeometry(), false, orderNone);
  Attached reader(*log.server.region, "reader");
  Attached publisher(*log.server.region, "publisher");
  const auto former = taker(log, reader);
  const auto publishing = log.publishes(publisher);
  publisher.program.ahead([&] { publishing->publish(0, nullptr); });
  reader.program.ahead([&] {
    former->take();
    former->reader().detach();
  });
  const auto taking = taker(log, reader, false);
  log.runs();
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    for (uint64_t i = 1; i < batches; i += 1) {
      if (!publishing->publish(i, sleeper.get())) expect(false, "a living session has ended");
    }
  });
  reader.program.runs([=, region = reader.region] {
    if (!taking->attach(From::end)) return expect(false, "a reader that begins at the end is refused");
    const uint64_t before = publishedBy(*region, 1);
    for (int i = 0; before + taking->count() < publishedBy(*region, 1) || i < 3; i += 1) {
      expect(i < pausesMax, "what was published behind a reader's attachment is not taken");
      taking->take();
      Scheduler::now().giveWay(pauseNanos);
    }
  });
}

// A reader attaches while a session ends and the next one gets its slot and its lanes: it takes all batches of the former
// session or none, and all of the next one's. What it holds stays as it is, however long.
void late() {
  constexpr uint64_t last = 8;
  Served log(logGeometry(), false, orderNone);
  Attached reader(*log.server.region, "reader");
  Attached former(*log.server.region, "former", false, false);
  Attached next(*log.server.region, "next", true, false);
  const auto taking = taker(log, reader, false);
  const auto publishing = log.publishes(former);
  const auto done = make_shared<bool>(false);
  former.program.ahead([&] {
    publishing->publish(0, nullptr);
    publishing->publish(1, nullptr);
  });
  log.runs();
  former.program.runs([=] { publishing->lanes().close(); });
  next.program.runs([=, topic = log.topic, region = next.region, sleeper = next.sleeper] {
    const auto own = opened(region, topic);
    for (uint64_t i = 0; i <= last; i += 1) {
      if (!own->publish(i, sleeper.get())) expect(false, "a living session has ended");
    }
    Scheduler::now().giveWay(pauseNanos * pausesMax);
  });
  reader.program.runs([=] {
    if (!taking->attach(From::start)) return expect(false, "the reader is refused");
    const auto hasLast = [&] { return !taking->of(2).empty() && taking->of(2).back() == last; };
    for (int i = 0; !hasLast() && i < 2 * pausesMax; i += 1) {
      taking->take(taking->count() == 0 ? 7 * pauseNanos : 0);
      Scheduler::now().giveWay(pauseNanos);
    }
    *done = true;
  });
  atEnd([=] {
    if (!*done) return;
    expect(taking->of(1).empty() || taking->of(1).size() == 2, "a part of a session was taken");
    // One that was stopped may have come behind batches that no reader held.
    const bool fromFirst = Scheduler::now().stops() || (!taking->of(2).empty() && taking->of(2).front() == 0);
    expect(fromFirst && !taking->of(2).empty() && taking->of(2).back() == last, "the next session's batches are not all taken");
  });
}

// The server stops when a session has closed, and a reader comes meanwhile, which looks until the server is gone: it has
// all batches of the session, or the session has ended without it.
void stopped() {
  Served log(logGeometry(), false, orderNone);
  Attached reader(*log.server.region, "reader", false, false);
  Attached publisher(*log.server.region, "publisher", false, false);
  const auto taking = taker(log, reader, false);
  const auto publishing = log.publishes(publisher);
  publisher.program.ahead([&] { publishing->publish(0, nullptr); });
  log.server.program.ahead([&] { log.serving->settle(); });
  publisher.program.ahead([&] { publishing->lanes().close(); });
  log.server.program.runs([serving = log.serving] { serving->sequencer().stop(); });
  reader.program.runs([=, region = reader.region] {
    if (!taking->attach(From::start)) return expect(false, "a reader that begins with the oldest is refused");
    while (serverState(*region) != serverStopped) Scheduler::now().giveWay(pauseNanos);
    taking->take();
    const auto& session = region->sessionLine(1, 0).acknowledged;
    const bool ended = peek<&SessionLine::Acknowledged::endedGeneration>(session) != 0;
    expect(taking->count() == 1 || ended, "a session's batch is not taken, and the session has not ended");
  });
}

}  // namespace

Protocol lanesProtocol() {
  return {"lanes", "order none: readers that scan the lanes", {
    {"take", "two batches: published, and taken without the sequencer", &take},
    {"room", "more batches than the lane has slots: the publisher sleeps until the reader gives them back", &room},
    {"readers", "two readers: the publisher sleeps until the slower one gives room back", &readers},
    {"release", "the oldest batches are released while a reader comes that begins with them", &release},
    {"reuse", "a session ends or dies, and the next has its slot and its lanes, under a reader", &reuse},
    {"brokers", "the same with two lanes a session", &brokers},
    {"damaged", "a session lies in a lane, and its lanes stay as they are until its readers hold nothing of them", &damaged},
    {"other", "the slot's next session is of another topic, whose reader has a place of the same number", &other},
    {"end", "a reader that begins at the end comes while batches are published", &end},
    {"late", "a reader comes while a session ends, and the next has its slot and its lanes", &late},
    {"stopped", "the server stops while a reader comes to a session that has closed", &stopped},
  }};
}

}  // namespace ringfence::explore
