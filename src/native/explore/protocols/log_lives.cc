#include "log_lives.h"

#include <cstring>
#include <map>

#include "explore/trace.h"
#include "region/server.h"
#include "served.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

bool is(const Status& status, const char* fault) { return !status.ok() && std::strcmp(status.fault, fault) == 0; }

bool deaths() { return Scheduler::now().deaths(); }

// One session publishes on two brokers, its first batch last: the others are held until it comes.
void gap() {
  Served log(logGeometry(1, 2));
  Attached reader(*log.server.region, "reader");
  Attached publisher(*log.server.region, "publisher");
  const auto subscribing = log.subscribes(reader);
  const auto publishing = log.publishes(publisher);
  log.runs();
  reader.program.runs([=, sleeper = reader.sleeper] { subscribing->receive(3, *sleeper); });
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    publishing->publish(1, nullptr);
    publishing->publish(2, nullptr);
    publishing->checkFrontiers();
    expect(publishing->seal(0), "there is no room for the batch that is missing");
    expect(publishing->lanes().brokerHolding(0) == 0, "the batch that is missing lies with another broker");
    publishing->lanes().publish(0);
    publishing->awaitAcknowledged(3, *sleeper);
    expect(publishing->lanes().brokerHolding(0) == -1, "a batch is missing that is published");
    publishing->lanes().close();
  });
  atEnd([=, region = reader.region] {
    const uint64_t committed = peek<&TopicLine::Committed::entries>(region->topicLine(1, 0).committed);
    expect(committed <= 3 && (deaths() || committed == 3), "not each batch that was published is committed, once");
  });
}

// One session on four brokers: each has a share of its batches, and all come in one order.
void brokers() {
  constexpr uint64_t batches = 6;
  Served log(logGeometry(1, 4));
  Attached reader(*log.server.region, "reader");
  Attached publisher(*log.server.region, "publisher");
  const auto subscribing = log.subscribes(reader);
  const auto publishing = log.publishes(publisher);
  log.runs();
  reader.program.runs([=, sleeper = reader.sleeper] { subscribing->receive(batches, *sleeper); });
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    for (uint64_t i = 0; i < batches; i += 1) publishing->publish(i, sleeper.get());
    publishing->awaitAcknowledged(batches, *sleeper);
    publishing->checkFrontiers();
    for (uint32_t b = 0; b < 4; b += 1) {
      // The lanes' lines follow the acknowledgements.
      retry("a broker has not its share of the batches", [=] { return publishing->lanes().frontiers(b).ordered == (b < 2 ? 2U : 1U); });
    }
  });
}

// The same, each batch once the one before is acknowledged: a pass between two sleeps looks at one of the lanes only, so the
// batch comes to one that it has just left, or has not come to.
void stripes() {
  constexpr uint64_t batches = 3;
  Served log(logGeometry(1, 2));
  Attached publisher(*log.server.region, "publisher");
  const auto publishing = log.publishes(publisher);
  log.runs();
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    for (uint64_t i = 0; i < batches; i += 1) {
      if (!publishing->publish(i, sleeper.get())) expect(false, "a living session has ended");
      publishing->awaitAcknowledged(i + 1, *sleeper);
    }
  });
}

// A session ends, by its close or by its death, while a batch waits for a batch that never comes. The next session gets the
// slot and its lanes, and no batch of the former session appears as its own.
void pending() {
  Served log(logGeometry(1, 2));
  Attached reader(*log.server.region, "reader", true, false);
  Attached former(*log.server.region, "former");
  Attached next(*log.server.region, "next", true, false);
  const auto subscribing = log.subscribes(reader);
  const auto publishing = log.publishes(former);
  log.runs();
  former.program.runs([=] {
    publishing->publish(1, nullptr);
    publishing->lanes().close();
  });
  next.program.runs([=, topic = log.topic, region = next.region, sleeper = next.sleeper] {
    const auto own = opened(region, topic);
    own->publish(0, sleeper.get());
    own->publish(1, sleeper.get());
    own->awaitAcknowledged(2, *sleeper);
    own->lanes().close();
  });
  reader.program.runs([=, sleeper = reader.sleeper] {
    sleeper->until(sleepsForData, "a batch", [=] { return subscribing->more(); }, [=] { return subscribing->moreIsThere(); });
    while (subscribing->more()) subscribing->take();
  });
  atEnd([=, region = reader.region] {
    const uint64_t committed = peek<&TopicLine::Committed::entries>(region->topicLine(1, 0).committed);
    expect(committed == 2, "not the two batches of the next session are committed, and no other");
  });
}

// A session ends because one of its lanes is false, while its client pauses in the middle of a batch on the other lane,
// and goes on when the next session wants the slot. All wait long, so that a stop of the client outlasts them.
void woken() {
  Served log(logGeometry(1, 2));
  Attached reader(*log.server.region, "reader", false, false);
  Attached former(*log.server.region, "former");
  Attached next(*log.server.region, "next", true, false);
  const auto subscribing = log.subscribes(reader);
  const auto publishing = log.publishes(former);
  const auto writing = make_shared<int>(2);
  log.runs();
  former.program.runs([=] {
    publishing->publish(0, nullptr);
    publishing->lie(1);
    publishing->seal(2, 8 * pauseNanos);
    publishing->lanes().publish(0);
    publishing->lanes().close();
    *writing -= 1;
  });
  next.program.runs([=, topic = log.topic, region = next.region, sleeper = next.sleeper] {
    Claim claim;
    retry("the slot of a session that has ended does not come free", [&] { return claimClient(*region, topic, claim).ok(); });
    const auto own = Publishing::of(region, claim);
    retry("a session is not admitted", [&] { return own->ready(); }, 4 * pauseNanos);
    for (uint64_t i = 0; i < 3; i += 1) own->publish(i, sleeper.get());
    own->awaitAcknowledged(3, *sleeper);
    expect(own->lanes().committedBatches() == 3, "a session ends whose lanes do not lie");
    *writing -= 1;
  });
  reader.program.runs([=] {
    retry("the publishers do not come to an end", [=] { return *writing == 0 || (*writing == 1 && deaths()); }, 40 * pauseNanos);
    while (subscribing->more()) subscribing->take();
  });
}

// The slot of a session is closed and taken anew while another session publishes.
void load() {
  Served log(logGeometry(2));
  Attached steady(*log.server.region, "steady", true, false);
  Attached former(*log.server.region, "former");
  Attached next(*log.server.region, "next", true, false);
  const auto publishing = log.publishes(steady);
  const auto closing = log.publishes(former);
  log.runs();
  steady.program.runs([=, sleeper = steady.sleeper] {
    for (uint64_t i = 0; i < 3; i += 1) publishing->publish(i, sleeper.get());
    publishing->awaitAcknowledged(3, *sleeper);
  });
  former.program.runs([=] {
    closing->publish(0, nullptr);
    closing->lanes().close();
  });
  next.program.runs([=, topic = log.topic, region = next.region, sleeper = next.sleeper] {
    const auto own = opened(region, topic);
    own->publish(0, sleeper.get());
    own->awaitAcknowledged(1, *sleeper);
  });
  atEnd([=, region = steady.region] {
    const uint64_t committed = peek<&TopicLine::Committed::entries>(region->topicLine(1, 0).committed);
    expect(committed <= 5 && committed >= (deaths() ? 4U : 5U), "not each batch that was published is committed, once");
  });
}

// A session closes before it was adopted, and another takes its slot at once, for another process: the sequencer adopts
// the one or the other.
void fleeting() {
  Served log(logGeometry());
  Attached former(*log.server.region, "former", false);
  Attached next(*log.server.region, "next", true, false);
  log.runs();
  const auto processes = make_shared<std::map<uint64_t, uint32_t>>();
  const auto claims = [=, topic = log.topic](const shared_ptr<Region>& at) {
    Claim claim;
    retry("the slot of a session that was closed does not come free", [&] { return claimClient(*at, topic, claim).ok(); });
    (*processes)[claim.clientId] = at->slot();
    return Publishing::of(at, claim);
  };
  former.program.runs([=, at = former.region] { claims(at)->lanes().close(); });
  next.program.runs([=, at = next.region, sleeper = next.sleeper] {
    const auto own = claims(at);
    retry("a session is not admitted", [&] { return own->ready(); });
    own->publish(0, sleeper.get());
    own->awaitAcknowledged(1, *sleeper);
    own->lanes().close();
  });
  log.serving->onReport = [=](const SessionReport& report) {
    const auto known = processes->find(report.sessionId);
    expect(known == processes->end() || known->second == report.process, "a session was adopted in the name of another process");
  };
}

bool gone(const Region& region) {
  const ServerState state = serverState(region);
  return state == serverDied || state == serverStopped;
}

bool hasStopped(const Region& region) { return newestSeen(region).state == EpochState::stopped; }

// A reader and a publisher of a log that ends: each learns of the end, and what was acknowledged is read.
void untilTheEnd(Served& log) {
  Attached reader(*log.server.region, "reader", true, false);
  Attached publisher(*log.server.region, "publisher", true, false);
  const auto subscribing = log.subscribes(reader);
  const auto publishing = log.publishes(publisher);
  const auto acknowledged = make_shared<uint64_t>(0);
  reader.program.runs([=, at = reader.region, sleeper = reader.sleeper] {
    bool ended = false;
    while (!ended) {
      const auto look = [&] { return subscribing->more() || (ended = gone(*at)); };
      sleeper->until(sleepsForData, "a batch, or the log's end", look, [=] { return subscribing->moreIsThere(); });
      while (subscribing->more()) subscribing->take();
    }
  });
  publisher.program.runs([=, at = publisher.region, sleeper = publisher.sleeper] {
    publishing->publish(0, sleeper.get());
    publishing->publish(1, sleeper.get());
    bool ended = false;
    const auto look = [&] { return publishing->lanes().committedBatches() == 2 || (ended = gone(*at)); };
    const auto& line = at->sessionLine(1, publishing->lanes().claim().slot).acknowledged;
    sleeper->until(sleepsForData, "acknowledgements, or the log's end", look, [&] { return peek<&SessionLine::Acknowledged::batches>(line) == 2; });
    *acknowledged = publishing->lanes().committedBatches();
    sleeper->until(sleepsForData, "the log's end", [&] { return gone(*at); }, [=] { return hasStopped(*at); });
    const ServerView server = serverOf(*at);
    expect(server.state == serverStopped || !server.alive, "a server is gone that lives");
    for (const ProcessView& process : at->processes()) expect(process.slot != at->slot() || process.alive, "this process counts as dead");
  });
  atEnd([=] {
    expect(subscribing->count() >= *acknowledged, "a batch was acknowledged, and its reader has not got it");
  });
}

// At any moment the server may be killed; if it is not, it stops.
void dies(Served& log) {
  log.runs();
  log.server.program.runs([serving = log.serving] {
    Scheduler::now().giveWay(250'000'000);
    serving->sequencer().stop();
  });
}

void killed() {
  Served log(logGeometry(), true);
  untilTheEnd(log);
  dies(log);
}

// The same, and a reader looks at its topic only when the server is gone: it has all that was acknowledged before.
void bequest() {
  Served log(logGeometry(), true);
  Attached reader(*log.server.region, "reader", true, false);
  Attached publisher(*log.server.region, "publisher", false, false);
  const auto subscribing = log.subscribes(reader);
  const auto publishing = log.publishes(publisher);
  reader.program.runs([=, at = reader.region, sleeper = reader.sleeper] {
    sleeper->until(sleepsForEnd, "the log's end", [=] { return gone(*at); }, [] { return false; });
    const uint64_t acknowledged = publishing->lanes().committedBatches();
    while (subscribing->more()) subscribing->take();
    expect(subscribing->count() >= acknowledged, "a batch was acknowledged, and its reader does not get it");
  });
  publisher.program.runs([=] {
    for (uint64_t i = 0; i < 3; i += 1) {
      publishing->publish(i, nullptr);
      Scheduler::now().giveWay(1'000'000);
    }
  });
  dies(log);
}

void stopped() {
  Served log(logGeometry());
  untilTheEnd(log);
  log.server.program.runs([serving = log.serving] { serving->sequencer().stop(); });
}

// Expects a new topic to hold nothing of the topic that had its place before.
void expectEmpty(const shared_ptr<Region>& at, const TopicPlace& topic) {
  Claim claim;
  retry("no reader has a place of a new topic", [&] { return claimReader(*at, topic, "reader", claim).ok(); });
  Subscribing subscribing(at, claim);
  expect(subscribing.attach(From::start), "the reader of a new topic is not attached");
  expect(subscribing.reader().next() == 0 && !subscribing.more(), "a new topic has batches");
  subscribing.reader().detach();
}

// Declares a topic where all places are taken: the place of an unused one is freed for it.
void declares(Attached& place, const char* name) {
  place.program.runs([=, at = place.region] {
    TopicView topic;
    TopicWish wish;
    retry("no place comes free for a topic", [&] {
      const Status status = declareTopic(*at, name, orderSession, 1, topic, &wish);
      const bool waits = is(status, "wished") || is(status, "busy") || is(status, "full");
      expect(status.ok() || waits, std::string("the topic is not declared: ") + (status.ok() ? "" : status.fault));
      // A reader or a session has the only place, as long as it stays.
      if (is(status, "full")) wish = {};
      return status.ok();
    });
    Trace::say("has declared its topic");
    expect(topic.name == name, "the topic is declared under another name");
    expectEmpty(at, topic.place());
  });
}

bool bearsTopic(const Region& region, const TopicPlace& place, const char* name) {
  TopicView view{};
  return topicAt(region, place.index, view) == TopicState::declared && view.name == name && view.generation == place.generation;
}

// Claims a reader's place of the topic, attaches, and leaves: the topic stays as long.
void visits(const shared_ptr<Region>& at, const TopicPlace& topic) {
  Claim claim;
  Status status = Status::fine();
  retry("a reader's place does not come free", [&] {
    status = claimReader(*at, topic, "reader", claim);
    return !is(status, "busy") && !is(status, "full");
  });
  expect(status.ok() || is(status, "gone"), std::string("the reader is refused: ") + (status.ok() ? "" : status.fault));
  if (!status.ok()) return;
  Subscribing subscribing(at, claim);
  expect(subscribing.attach(From::start), "the reader is not attached");
  Trace::say("reads the topic");
  expect(bearsTopic(*at, topic, "t"), "the topic was freed under its reader");
  Scheduler::now().giveWay(pauseNanos);
  expect(bearsTopic(*at, topic, "t"), "the topic was freed under its reader");
  subscribing.take();
  const uint64_t now = Scheduler::now().clock();
  subscribing.reader().detach();
  expect(peek<&ReaderLine::leftNanos>(at->reader(topic.index, claim.slot).line) >= now, "a reader does not say when it left");
}

// The only topic is unused, and has batches: another is declared in its place while a reader opens it, twice. One of the
// two gets the place.
void places() {
  Served log(logGeometry());
  Attached publisher(*log.server.region, "publisher", false, false);
  Attached declarer(*log.server.region, "declarer", false);
  Attached reader(*log.server.region, "reader", false);
  const auto publishing = log.publishes(publisher);
  publisher.program.ahead([&] {
    publishing->publish(0, nullptr);
    publishing->publish(1, nullptr);
    publishing->lanes().close();
  });
  log.server.program.ahead([&] { log.serving->settle(); });
  log.runs();
  declares(declarer, "u");
  reader.program.runs([=, at = reader.region, topic = log.topic] {
    visits(at, topic);
    visits(at, topic);
  });
}

// A reader leaves or dies, and another one gets its place.
void heir() {
  Served log(logGeometry());
  Attached former(*log.server.region, "former reader", false);
  Attached reader(*log.server.region, "reader", false);
  log.runs();
  former.program.runs([=, at = former.region, topic = log.topic] { visits(at, topic); });
  reader.program.runs([=, at = reader.region, topic = log.topic] { visits(at, topic); });
}

// A reader attaches before the log is served, and has its first batch.
void early() {
  const auto region = made(logGeometry());
  Attached server(*region, "server", false, false);
  Attached publisher(*region, "publisher");
  Attached reader(*region, "reader");
  const auto topic = make_shared<TopicView>();
  reader.program.ahead([&] { expectOk(declareTopic(*region, "t", orderSession, 1, *topic), "declaring the topic"); });
  server.program.runs([=, at = server.region] {
    const auto serving = make_shared<Serving>(at);
    atEnd([serving] { serving->checkAtRest(); });
    serving->look();
  }, "server's loop", true);
  publisher.program.runs([=, at = publisher.region] {
    retry("the log is not served", [&] { return serverState(*at) == serverServing || deaths(); });
    opened(at, topic->place())->publish(0, nullptr);
    expect(sessionsEnding(*at) == 0, "a session ends whose process lives");
  });
  reader.program.runs([=, at = reader.region, sleeper = reader.sleeper] {
    Claim claim;
    expectOk(claimReader(*at, topic->place(), "reader", claim), "claiming a reader's place");
    Subscribing subscribing(at, claim);
    expect(subscribing.attach(From::start), "the reader is not attached");
    subscribing.receive(1, *sleeper);
    expect(subscribing.firstPosition() == 0, "the first batch is missing");
  });
}

// The same while a session opens: it is admitted and keeps the topic, or it learns that the topic is gone.
void refused() {
  Served log(logGeometry());
  Attached declarer(*log.server.region, "declarer", false);
  Attached publisher(*log.server.region, "publisher", false);
  log.runs();
  declares(declarer, "u");
  publisher.program.runs([=, at = publisher.region, topic = log.topic] {
    Claim claim;
    expectOk(claimClient(*at, topic, claim), "claiming a session");
    const auto publishing = Publishing::of(at, claim);
    retry("the session is neither admitted nor refused",
          [&] { return publishing->ready() || publishing->lanes().endReason() != endNone; });
    if (publishing->ready()) {
      expect(bearsTopic(*at, topic, "t"), "the topic was freed under its session");
    } else {
      expect(publishing->lanes().endReason() == endTopicGone, "the session has ended for another reason");
    }
    publishing->lanes().close();
  });
}

// A region that is never served: its client learns of it once its creator is gone.
void unserved() {
  Program creator("creator", true);
  const auto region = madeRegion(creator, logGeometry());
  Attached client(*region, "client", true, false);
  atEnd([region] {});
  client.program.runs([=, at = client.region, sleeper = client.sleeper] {
    const auto look = [=] { return serverState(*at) == serverDied; };
    sleeper->until(sleepsForEnd, "the log's end", look, [] { return false; });
    expect(!serverOf(*at).alive, "a server is gone that lives");
  });
  creator.runs([=] { region->close(); });
}

}  // namespace

std::vector<Configuration> logLives() {
  return {
    {"gap", "two brokers, and the first batch comes last: the others are held for it", &gap},
    {"brokers", "one session on four brokers", &brokers},
    {"stripes", "one session on two brokers, each batch once the one before is acknowledged", &stripes},
    {"pending", "a session ends or dies while a batch of it is held, and the next has its lanes", &pending},
    {"woken", "a session ends whose client rests in the midst of a batch, and the next comes for its lanes", &woken},
    {"load", "a session ends or dies, and the next has its slot, while another session publishes", &load},
    {"fleeting", "a session closes before it is adopted, and another has its slot", &fleeting},
    {"killed", "the server may be killed at any moment, or it stops: its clients learn of it", &killed},
    {"bequest", "the server is killed, and only then a reader looks at its topic", &bequest},
    {"stopped", "the server stops while its clients publish and read", &stopped},
    {"places", "the only topic is freed for another while a reader comes for it", &places},
    {"refused", "the same while a session comes for it", &refused},
    {"heir", "a reader leaves or dies, and another has its place", &heir},
    {"early", "a reader attaches before the log is served", &early},
    {"unserved", "the creator of a log goes before any process serves it", &unserved},
  };
}

}  // namespace ringfence::explore
