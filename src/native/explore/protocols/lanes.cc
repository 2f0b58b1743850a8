#include "lanes.h"

#include "lanes_ends.h"
#include "lanes_places.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

bool deaths() { return Scheduler::now().deaths(); }

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

// A reader attaches at the end while batches are published: it takes all that are published from then on, and none that
// was published before. Another has had its place, and has left.
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
  const auto published = make_shared<uint64_t>(1);
  log.runs();
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    for (uint64_t i = 1; i < batches; i += 1) {
      if (!publishing->publish(i, sleeper.get())) expect(false, "a living session has ended");
      *published = i + 1;
    }
  });
  reader.program.runs([=, region = reader.region] {
    const uint64_t ahead = *published;
    if (!taking->attach(From::end)) return expect(false, "a reader that begins at the end is refused");
    const uint64_t before = publishedBy(*region, 1);
    for (int i = 0; before + taking->count() < publishedBy(*region, 1) || i < 3; i += 1) {
      expect(i < pausesMax, "what was published behind a reader's attachment is not taken");
      taking->take();
      Scheduler::now().giveWay(pauseNanos);
    }
    expect(taking->of(1).empty() || taking->of(1).front() >= ahead, "what was published ahead of a reader's attachment is taken");
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
  Protocol protocol{"lanes", "order none: readers that scan the lanes", {
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
  for (const Configuration& one : lanesPlaces()) protocol.configurations.push_back(one);
  return protocol;
}

}  // namespace ringfence::explore
