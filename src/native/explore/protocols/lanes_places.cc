#include "lanes_places.h"

#include "lanes_ends.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

constexpr uint64_t millisecond = 1'000'000;

// A reader that claims its place within the schedule.
shared_ptr<Taking> claims(const shared_ptr<Region>& at, TopicPlace topic, From from) {
  Claim claim;
  expectOk(claimReader(*at, topic, "reader", claim), "claiming a reader's place");
  const auto taking = make_shared<Taking>(at, claim);
  expect(taking->attach(from), "a reader is refused");
  return taking;
}

void publishesAhead(Attached& publisher, Publishing& publishing, uint64_t first, uint64_t behind) {
  publisher.program.ahead([&] {
    for (uint64_t i = first; i < behind; i += 1) publishing.publish(i, nullptr);
  });
}

// The oldest batches are released, from the sequencer's first pass on, while a reader claims a place and attaches, and
// then rests: what it begins with stays.
void newcomer() {
  Served log(logGeometry(), false, orderNone);
  Attached reader(*log.server.region, "reader", false);
  Attached publisher(*log.server.region, "publisher");
  const auto publishing = log.publishes(publisher);
  publishesAhead(publisher, *publishing, 0, 4);
  log.server.program.ahead([&] { log.serving->settle(); });
  publishesAhead(publisher, *publishing, 4, 8);
  log.runs();
  reader.program.runs([=, at = reader.region, topic = log.topic] {
    const auto taking = claims(at, topic, From::start);
    Scheduler::now().giveWay(4 * millisecond);
    taking->take();
    taking->reader().detach();
  });
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    for (uint64_t i = 8; i < 10; i += 1) {
      if (!publishing->publish(i, sleeper.get())) expect(false, "a living session has ended");
    }
  });
}

// A session that has closed ends with the sequencer's first pass, and the next one gets its lanes, while a reader claims a
// place and attaches: what it takes of the former session stays as long as it holds it.
void farewell() {
  Served log(logGeometry(), false, orderNone);
  Attached reader(*log.server.region, "reader", false);
  Attached former(*log.server.region, "former", false, false);
  Attached next(*log.server.region, "next", true, false);
  const auto publishing = log.publishes(former);
  publishesAhead(former, *publishing, 0, 2);
  log.server.program.ahead([&] { log.serving->settle(); });
  former.program.ahead([&] { publishing->lanes().close(); });
  log.runs();
  reader.program.runs([=, at = reader.region, topic = log.topic] {
    const auto taking = claims(at, topic, From::start);
    for (int i = 0; i < 3; i += 1) taking->take(7 * pauseNanos);
    taking->reader().detach();
  });
  next.program.runs([=, at = next.region, topic = log.topic, sleeper = next.sleeper] {
    const auto own = opened(at, topic);
    for (uint64_t i = 0; i < 8; i += 1) {
      if (!own->publish(i, sleeper.get())) expect(false, "a living session has ended");
    }
  });
}

// A reader attaches at the end before the log is served: it has all that is published from the first batch on.
void early() {
  const auto region = made(logGeometry());
  Attached server(*region, "server", false, false);
  Attached publisher(*region, "publisher", false, false);
  Attached reader(*region, "reader", false, false);
  TopicView topic;
  reader.program.ahead([&] { expectOk(declareTopic(*region, "t", orderNone, 0, topic), "declaring the topic"); });
  reader.program.runs([=, at = reader.region] {
    const bool ahead = newestSeen(*at).number == 0;
    const auto taking = claims(at, topic.place(), From::end);
    for (int i = 0; taking->of(1).empty(); i += 1) {
      expect(i < pausesMax, "what is published behind a reader's attachment is not taken");
      taking->take();
      Scheduler::now().giveWay(10 * pauseNanos);
    }
    expect(!ahead || taking->of(1).front() == 0, "a reader that was there first misses the first batch");
  });
  server.program.runs([=, at = server.region] {
    const auto serving = make_shared<Serving>(at);
    atEnd([serving] { serving->checkAtRest(); });
    serving->look();
  }, "server's loop", true);
  publisher.program.runs([=, at = publisher.region] {
    retry("the log is not served", [&] { return serverState(*at) == serverServing; });
    const auto publishing = opened(at, topic.place());
    for (uint64_t i = 0; i < 3; i += 1) {
      publishing->publish(i, nullptr);
      Scheduler::now().giveWay(pauseNanos);
    }
  });
}

// A reader attaches before the log is served, looks once, and arms only when its first batch is there: it does not sleep.
void roused() {
  const auto region = made(logGeometry());
  Attached reader(*region, "reader");
  Attached server(*region, "server", false, false);
  Attached publisher(*region, "publisher", false, false);
  TopicView topic;
  reader.program.ahead([&] { expectOk(declareTopic(*region, "t", orderNone, 0, topic), "declaring the topic"); });
  const auto done = make_shared<bool>(false);
  reader.program.runs([=, at = reader.region, sleeper = reader.sleeper] {
    const auto taking = claims(at, topic.place(), From::start);
    bool looked = false;
    const auto look = [&] {
      const bool more = taking->reader().committed() > taking->reader().next();
      while (!looked && !*done) Scheduler::now().giveWay(millisecond);
      looked = true;
      return more;
    };
    sleeper->until(sleepsForData, "a batch", look, [&] { return taking->moreIsThere(); });
    taking->take();
  });
  server.program.runs([=, at = server.region] {
    const auto serving = make_shared<Serving>(at);
    atEnd([serving] { serving->checkAtRest(); });
    for (;;) {
      serving->settle();
      Scheduler::now().wait("its timer", Scheduler::now().clock() + 10 * millisecond);
    }
  }, "server's loop", true);
  publisher.program.runs([=, at = publisher.region] {
    opened(at, topic.place())->publish(0, nullptr);
    *done = true;
  });
}

// A reader that has taken all looks at its lane while a batch comes for which the sequencer is rung: the lane is whole.
void scanned() {
  Served log(logGeometry(), false, orderNone);
  Attached reader(*log.server.region, "reader", false, false);
  Attached publisher(*log.server.region, "publisher", false, false);
  const auto taking = taker(log, reader);
  const auto publishing = log.publishes(publisher);
  publishesAhead(publisher, *publishing, 0, 4);
  log.server.program.ahead([&] { log.serving->settle(); });
  reader.program.ahead([&] { taking->take(); });
  log.server.program.ahead([&] { log.serving->settle(); });
  log.runs();
  reader.program.runs([=] {
    for (int i = 0; i < 3; i += 1) {
      taking->take();
      Scheduler::now().giveWay(millisecond);
    }
  });
  publisher.program.runs([=] {
    for (uint64_t i = 4; i < 6; i += 1) publishing->publish(i, nullptr);
  });
}

// A session that has closed ends while a reader comes again and again. The server may die meanwhile: what it leaves refuses no
// reader.
void revisited() {
  Served log(logGeometry(), true, orderNone);
  Attached visitor(*log.server.region, "visitor", false, false);
  Attached publisher(*log.server.region, "publisher", false, false);
  const auto publishing = log.publishes(publisher);
  publishesAhead(publisher, *publishing, 0, 2);
  log.server.program.ahead([&] { log.serving->settle(); });
  publisher.program.ahead([&] { publishing->lanes().close(); });
  log.runs();
  visitor.program.runs([=, at = visitor.region, topic = log.topic] {
    for (int i = 0; i < 4; i += 1) {
      const auto taking = claims(at, topic, From::start);
      taking->take();
      taking->reader().detach();
      Scheduler::now().giveWay(pauseNanos);
    }
  });
}

}  // namespace

std::vector<Configuration> lanesPlaces() {
  return {
    {"newcomer", "the oldest batches are released while a reader claims a place and begins with them", &newcomer},
    {"farewell", "a session ends, and the next has its lanes, while a reader claims a place", &farewell},
    {"revisited", "a session ends, and the server may die, while a reader comes again and again", &revisited},
    {"early", "a reader attaches at the end before the log is served", &early},
    {"roused", "a reader looks before the log is served, and arms when its first batch is there", &roused},
    {"scanned", "a reader that has taken all looks at its lane while the sequencer scans a batch", &scanned},
  };
}

}  // namespace ringfence::explore
