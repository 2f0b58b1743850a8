#include "log_looks.h"

#include <cstring>

#include "attached.h"
#include "explore/trace.h"
#include "log_ends.h"
#include "region/futex.h"
#include "served.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

constexpr uint64_t shortNanos = 1'000'000;

bool is(const Status& status, const char* fault) { return !status.ok() && std::strcmp(status.fault, fault) == 0; }

// Waits as long as no other process can help it.
template <class So>
void await(const char* what, So so, uint64_t nanos = shortNanos) {
  constexpr int pausesMax = 2000;
  for (int i = 0; !so(); i += 1) {
    if (i == pausesMax) return expect(false, what);
    Scheduler::now().giveWay(nanos);
  }
}

// A log that is not served yet, with its topic, and three processes: one holds a place of a table, a second one looks at
// it, and may claim it once it is told that the place is free.
struct Unserved {
  shared_ptr<Region> region = made(logGeometry());
  Attached next{*region, "next", false};
  Attached server{*region, "server", false, false};
  Attached former{*region, "former", false, false};
  TopicPlace topic{};
  shared_ptr<bool> vacated = make_shared<bool>(false);

  Unserved() {
    former.program.ahead([&] {
      TopicView declared;
      expectOk(declareTopic(*former.region, "t", orderSession, 1, declared), "declaring the topic");
      topic = declared.place();
    });
  }

  // The next process finds the place taken as long as the log is not served; and behind a fence it has the place at its
  // first attempt.
  template <class Claims>
  void claimsBehind(Claims claims) {
    next.program.runs([=, at = next.region, told = vacated] {
      const Status first = claims(*at);
      if (first.ok()) return;  // it came free before
      expect(is(first, "full"), std::string("no claim: ") + first.fault);
      await("the place does not come free", [=] { return *told; });
      static_cast<void>(at->publication().fullFence());
      const Status status = claims(*at);
      expect(status.ok(), std::string("a place that is free is not to be had: ") + (status.ok() ? "" : status.fault));
    });
  }

  // Looks often, so that no long timeout has to pass: by a timer, behind which lost wake-ups count, or in turns.
  enum class Pace { turns, timer };
  void serves(Pace pace = Pace::turns, bool endsDead = false) {
    server.program.runs([=, at = server.region] {
      const auto serving = make_shared<Serving>(at);
      atEnd([serving] {});
      for (;;) {
        serving->settle();
        if (endsDead) serving->sequencer().endDead();
        Scheduler& scheduler = Scheduler::now();
        pace == Pace::turns ? scheduler.giveWay(shortNanos) : void(scheduler.wait("its timer", scheduler.clock() + shortNanos));
      }
    }, "server's loop", true);
  }
};

void claimsSession(Unserved& log) {
  log.claimsBehind([topic = log.topic](Region& at) {
    Claim own;
    return claimClient(at, topic, own);
  });
}

void claimsReader(Unserved& log) {
  log.claimsBehind([topic = log.topic](Region& at) {
    Claim own;
    return claimReader(at, topic, "reader", own);
  });
}

// A client claims a session before the log is served, publishes and closes it. It tells of the free slot when it sees the
// end itself.
void over() {
  Unserved log;
  Claim claim;
  log.former.program.ahead([&] { expectOk(claimClient(*log.former.region, log.topic, claim), "claiming a session"); });
  claimsSession(log);
  log.serves();
  log.former.program.runs([=, at = log.former.region, told = log.vacated] {
    const auto publishing = Publishing::of(at, claim);
    await("a session is not admitted", [&] { return publishing->ready(); });
    publishing->publish(0, nullptr);
    publishing->lanes().close();
    await("a session that has closed does not end", [&] { return sessionOver(*at, 0, claim.generation); });
    *told = true;
  });
}

// A client gives up a session that no server has adopted: its slot is free at once.
void givenUp() {
  Unserved log;
  shared_ptr<Publishing> publishing;
  log.former.program.ahead([&] {
    Claim claim;
    expectOk(claimClient(*log.former.region, log.topic, claim), "claiming a session");
    publishing = Publishing::of(log.former.region, claim);
  });
  claimsSession(log);
  log.former.program.runs([=, told = log.vacated] {
    publishing->lanes().close();
    *told = true;
  });
}

shared_ptr<Subscribing> attached(Attached& place, TopicPlace topic) {
  Claim claim;
  expectOk(claimReader(*place.region, topic, "reader", claim), "claiming a reader's place");
  const auto subscribing = make_shared<Subscribing>(place.region, claim);
  expect(subscribing->attach(From::start), "the reader is not attached");
  return subscribing;
}

// A reader attaches before the log is served, and leaves.
void left() {
  Unserved log;
  shared_ptr<Subscribing> reader;
  log.former.program.ahead([&] { reader = attached(log.former, log.topic); });
  claimsReader(log);
  log.serves();
  log.former.program.runs([=, told = log.vacated] {
    reader->reader().detach();
    *told = true;
  });
}

// A reader's process leaves without a word, and another process tells that the sequencer has ended the reader.
void ended() {
  Unserved log;
  Attached watcher(*log.region, "watcher", false, false);
  shared_ptr<Subscribing> reader;
  log.former.program.ahead([&] { reader = attached(log.former, log.topic); });
  claimsReader(log);
  log.serves(Unserved::Pace::turns, true);
  log.former.program.runs([=, at = log.former.region] {
    static_cast<void>(reader);
    at->close();
  });
  watcher.program.runs([at = watcher.region, told = log.vacated] {
    const auto& end = at->readerEnd(1, 0, 0);
    await("a dead reader is not ended", [&] { return at->publication().observe<&ReaderEnd::endedGeneration>(end) != 0; });
    *told = true;
  });
}

// A reader attaches while the log begins to be served, and while the oldest batches make room: it has its first batch and
// all behind it, whole.
void outrun() {
  constexpr uint64_t batches = 12;
  Unserved log;
  const auto done = make_shared<bool>(false);
  log.next.program.runs([=, at = log.next.region, topic = log.topic] {
    Claim claim;
    expectOk(claimReader(*at, topic, "reader", claim), "claiming a reader's place");
    Subscribing subscribing(at, claim);
    expect(subscribing.attach(From::start), "the reader is not attached");
    await("the batches do not come", [&] {
      subscribing.take();
      return *done && !subscribing.more();
    });
  });
  log.serves(Unserved::Pace::turns, true);
  log.former.program.runs([=, at = log.former.region, topic = log.topic] {
    Claim claim;
    expectOk(claimClient(*at, topic, claim), "claiming a session");
    const auto publishing = Publishing::of(at, claim);
    await("a session is not admitted", [&] { return publishing->ready(); });
    for (uint64_t i = 0; i < batches; i += 1) {
      await("there is no room", [&] {
        if (publishing->seal(i)) return true;
        publishing->lanes().wantRoom();
        return false;
      });
      publishing->lanes().publish(0);
    }
    *done = true;
  });
}

// A reader looks before the log is served, and arms only when its first batch is there: it does not sleep.
void roused() {
  Unserved log;
  Attached reader(*log.region, "reader", true, false);
  const auto done = make_shared<bool>(false);
  Claim claim;
  log.former.program.ahead([&] { expectOk(claimClient(*log.former.region, log.topic, claim), "claiming a session"); });
  reader.program.runs([=, at = reader.region, topic = log.topic, sleeper = reader.sleeper] {
    Claim place;
    expectOk(claimReader(*at, topic, "reader", place), "claiming a reader's place");
    Subscribing subscribing(at, place);
    expect(subscribing.attach(From::start), "the reader is not attached");
    bool looked = false;
    const auto look = [&] {
      const bool more = subscribing.more();
      if (!looked) await("a batch is not committed", [=] { return *done; });
      looked = true;
      return more;
    };
    sleeper->until(sleepsForData, "a batch", look, [&] { return subscribing.moreIsThere(); });
    subscribing.take();
  });
  log.serves(Unserved::Pace::timer);
  log.former.program.runs([=, at = log.former.region] {
    const auto publishing = Publishing::of(at, claim);
    await("a session is not admitted", [&] { return publishing->ready(); });
    publishing->publish(0, nullptr);
    await("a batch is not committed", [&] { return publishing->lanes().committedBatches() == 1; });
    *done = true;
  });
}

// Two processes declare a topic of one name, where there is room for two topics: both have the same one.
void namesakes() {
  Geometry geometry = logGeometry();
  geometry.topics = 2;
  const auto region = made(geometry);
  const auto places = make_shared<std::vector<uint32_t>>();
  for (const char* name : {"first", "second"}) {
    Attached place(*region, name, false);
    place.program.runs([=, at = place.region] {
      TopicView topic;
      Status status = declareTopic(*at, "t", orderSession, 1, topic);
      for (Patience patience; is(status, "busy") && patience.lasts();) status = declareTopic(*at, "t", orderSession, 1, topic);
      expectOk(status, "declaring the topic");
      places->push_back(topic.index);
      expect(places->front() == topic.index, "two topics have one name");
    });
  }
}

// Declares another topic, for which the only one is freed.
void declares(Attached& place) {
  place.program.runs([at = place.region] {
    TopicView topic;
    TopicWish wish;
    await("no place comes free for a topic", [&] {
      const Status status = declareTopic(*at, "u", orderSession, 1, topic, &wish);
      if (is(status, "full")) wish = {};
      return status.ok();
    });
  });
}

// The log begins to be served, its only topic is freed, and another one declared in its place, while a process looks at
// it: it does not count as damaged.
void freed() {
  Unserved log;
  log.next.program.runs([at = log.next.region] {
    TopicView topic;
    for (int i = 0; i < 3; i += 1) {
      const TopicState state = topicAt(*at, 0, topic);
      expect(state != TopicState::damaged, "a place counts as damaged that is just declared");
      expect(state != TopicState::declared || topic.name == (topic.generation == 1 ? "t" : "u"), "a topic has a name that it was not given");
      Scheduler::now().giveWay(shortNanos);
    }
  });
  log.serves();
  declares(log.former);
}

// Looks at a topic and comes as its reader: the topic stays, or the reader is refused.
void comes(Attached& reader, TopicPlace place) {
  reader.program.runs([at = reader.region, place] {
    TopicView topic;
    if (topicAt(*at, 0, topic) != TopicState::declared || topic.generation != place.generation) return;
    Claim claim;
    const Status status = claimReader(*at, place, "reader", claim);
    expect(status.ok() || is(status, "gone"), std::string("the reader is refused: ") + (status.ok() ? "" : status.fault));
    if (!status.ok()) return;
    for (int i = 0; i < 2; i += 1) {
      const bool stays = topicAt(*at, 0, topic) == TopicState::declared && topic.generation == place.generation;
      expect(stays, "the topic was freed under its reader");
      Scheduler::now().giveWay(shortNanos);
    }
    leavePlace(*at, 0, claim.slot, claim.generation);
    at->wakeSequencer(sleepsForData | sleepsForRoom);
  });
}

void overtaken() {
  Unserved log;
  comes(log.next, log.topic);
  log.serves(Unserved::Pace::turns, true);
  declares(log.former);
}

// The same where the log was served before, so that the reader knows the line of the topic's mark.
void regarded() {
  Served log(logGeometry());
  Attached reader(*log.server.region, "reader", false);
  Attached declarer(*log.server.region, "declarer", false, false);
  comes(reader, log.topic);
  log.runs();
  declares(declarer);
}

// A session is claimed before the log is served, and its client, which has looked by then, is told of its grant: it is
// ready at once.
void admitted() {
  Unserved log;
  Attached watcher(*log.region, "watcher", false, false);
  Claim claim;
  log.former.program.ahead([&] { expectOk(claimClient(*log.former.region, log.topic, claim), "claiming a session"); });
  const auto told = make_shared<bool>(false);
  log.former.program.runs([=, at = log.former.region] {
    const auto publishing = Publishing::of(at, claim);
    if (publishing->ready()) return;
    await("a session is not granted", [=] { return *told; });
    static_cast<void>(at->publication().fullFence());
    expect(publishing->ready(), "a session is not ready that was granted");
  });
  log.serves();
  watcher.program.runs([=, at = watcher.region] {
    const auto& grant = at->grant(1, at->laneOf(0, 0));
    await("a session is not granted", [&] { return at->publication().observe<&GrantLine::grantedGeneration>(grant) != 0; });
    *told = true;
  });
}

}  // namespace

std::vector<Configuration> logLooks() {
  return {
    {"over", "a session has ended, and a process that has looked before is told so", &over},
    {"given up", "the same where no server has adopted the session", &givenUp},
    {"left", "a reader has left, and a process that has looked before is told so", &left},
    {"ended", "a reader was ended, and a process that has looked before is told so", &ended},
    {"outrun", "a reader attaches while the log begins to be served and the oldest batches go", &outrun},
    {"roused", "a reader looks before the log is served, and arms when its first batch is there", &roused},
    {"namesakes", "two processes declare a topic of one name", &namesakes},
    {"freed", "the log begins, and its only topic is freed for another, while a process looks at its place", &freed},
    {"overtaken", "the same while a reader comes for it", &overtaken},
    {"regarded", "the same, and the log was served before", &regarded},
    {"admitted", "a session was granted, and its client, which has looked before, is told so", &admitted},
  };
}

}  // namespace ringfence::explore
