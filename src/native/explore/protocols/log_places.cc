#include "log_places.h"

#include <cstring>

#include "served.h"

namespace ringfence::explore {

namespace {

using std::make_shared;

constexpr uint64_t millisecond = 1'000'000;

// The oldest batches are trimmed for their room, from the sequencer's first pass on, while a reader claims a place and
// attaches, and then rests: what it begins with stays.
void newcomer() {
  Served log(logGeometry());
  Attached reader(*log.server.region, "reader", false);
  Attached publisher(*log.server.region, "publisher");
  const auto publishing = log.publishes(publisher);
  const auto publishes = [&](uint64_t first, uint64_t behind) {
    publisher.program.ahead([&] {
      for (uint64_t i = first; i < behind; i += 1) publishing->publish(i, nullptr);
    });
  };
  publishes(0, 4);
  log.server.program.ahead([&] { log.serving->settle(); });
  publishes(4, 8);
  log.runs();
  reader.program.runs([=, at = reader.region, topic = log.topic] {
    Claim claim;
    expectOk(claimReader(*at, topic, "reader", claim), "claiming a reader's place");
    Subscribing subscribing(at, claim);
    expect(subscribing.attach(From::start), "a reader that begins with the oldest is refused");
    Scheduler::now().giveWay(4 * millisecond);
    expect(subscribing.look(), "what is kept for a reader is not there");
    subscribing.reader().detach();
  });
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    for (uint64_t i = 8; i < 10; i += 1) {
      if (!publishing->publish(i, sleeper.get())) expect(false, "a living session has ended");
    }
  });
}

// Wishes for a place, of which there is none.
void wishes(Attached& declarer) {
  declarer.program.ahead([&] {
    TopicView topic;
    TopicWish wish;
    const Status status = declareTopic(*declarer.region, "u", orderSession, 1, topic, &wish);
    expect(!status.ok() && std::strcmp(status.fault, "wished") == 0, "a place is free that a topic has");
  });
}

// The only topic, which is not used, is freed with the sequencer's first pass, while a reader claims a place of it: it
// stays under that reader, or the reader is turned away.
void wanted() {
  Served log(logGeometry());
  Attached declarer(*log.server.region, "declarer", false, false);
  Attached reader(*log.server.region, "reader", false);
  wishes(declarer);
  log.runs();
  reader.program.runs([=, at = reader.region, topic = log.topic] {
    const auto stays = [&] {
      TopicView view{};
      return topicAt(*at, topic.index, view) == TopicState::declared && view.generation == topic.generation;
    };
    Claim claim;
    const Status status = claimReader(*at, topic, "reader", claim);
    expect(status.ok() || std::strcmp(status.fault, "gone") == 0, "the reader is refused");
    if (!status.ok()) return;
    Subscribing subscribing(at, claim);
    expect(subscribing.attach(From::start) && stays(), "the topic was freed under its reader");
    Scheduler::now().giveWay(pauseNanos);
    expect(stays(), "the topic was freed under its reader");
    subscribing.reader().detach();
  });
}

// A topic is declared in a place that came free, and has a session at once, while the sequencer makes its first pass.
void resettled() {
  Served log(logGeometry());
  Attached client(*log.server.region, "client", false);
  wishes(client);
  log.server.program.ahead([&] { log.serving->settle(); });
  log.runs();
  client.program.runs([=, at = client.region] {
    TopicView topic;
    expectOk(declareTopic(*at, "u", orderSession, 1, topic), "declaring a topic in a place that came free");
    const auto publishing = opened(at, topic.place());
    publishing->publish(0, nullptr);
    expect(publishing->lanes().endReason() == endNone, "the session of a topic that was just declared has ended");
  });
}

// A process leaves the only topic and declares another one, which gets its place at once; then it publishes there.
void vacated() {
  Served log(logGeometry());
  Attached client(*log.server.region, "client");
  log.runs();
  client.program.runs([=, at = client.region, former = log.topic, sleeper = client.sleeper] {
    Claim place;
    expectOk(claimReader(*at, former, "reader", place), "claiming a reader's place");
    Subscribing subscribing(at, place);
    expect(subscribing.attach(From::start), "the reader is not attached");
    Scheduler::now().giveWay(4 * pauseNanos);
    subscribing.reader().detach();
    TopicView topic;
    TopicWish wish;
    retry("no place comes free for a topic", [&] {
      const Status status = declareTopic(*at, "u", orderSession, 1, topic, &wish);
      expect(status.ok() || std::strcmp(status.fault, "wished") == 0, "a topic is refused, though another one is not used");
      return status.ok();
    });
    const auto publishing = opened(at, topic.place());
    publishing->publish(0, nullptr);
    publishing->awaitAcknowledged(1, *sleeper);
    expect(publishing->lanes().endReason() == endNone, "the session of a topic that was just declared has ended");
  });
}

// A server begins to serve, and may die, while a reader attaches: the reader is attached with any view of the epoch.
void begun() {
  const auto region = made(logGeometry());
  Attached server(*region, "server", false);
  Attached reader(*region, "reader", false, false);
  TopicView topic;
  reader.program.ahead([&] { expectOk(declareTopic(*reader.region, "t", orderSession, 1, topic), "declaring the topic"); });
  server.program.runs([=, at = server.region] {
    SequencerOptions options;
    options.manual = true;
    const auto sequencer = make_shared<Sequencer>(at, options);
    atEnd([sequencer] {});
    expectOk(sequencer->start(), "starting the sequencer");
  });
  reader.program.runs([=, at = reader.region] {
    Claim claim;
    expectOk(claimReader(*at, topic.place(), "reader", claim), "claiming a reader's place");
    Subscribing subscribing(at, claim);
    expect(subscribing.attach(From::start), "the reader is not attached");
    for (int i = 0; i < 2; i += 1) {
      Scheduler::now().giveWay(millisecond);
      subscribing.take();
    }
  });
}

// A client closes its session, leaves its topic, and then the region, while the server looks after the dead.
void quits() {
  Served log(logGeometry());
  Attached client(*log.server.region, "client", false, false);
  const auto subscribing = log.subscribes(client);
  const auto publishing = log.publishes(client);
  log.serving->onReport = [](const SessionReport& report) {
    expect(report.endReason == endNone || report.endReason == endClosed, "a session that was closed has ended otherwise");
  };
  log.serving->onDead = [](const DeadReader&) { expect(false, "a reader that has left is told as dead"); };
  client.program.runs([=, at = client.region] {
    publishing->lanes().close();
    subscribing->reader().detach();
    at->close();
  });
  log.server.program.runs([serving = log.serving] {
    for (int i = 0; i < 3; i += 1) {
      serving->lookOnce();
      Scheduler::now().giveWay(millisecond);
    }
  });
}

// A client leaves its topic, and then the region, and another client has its place and leaves it as well, while the server
// looks after the dead.
void passesOn() {
  Served log(logGeometry());
  Attached former(*log.server.region, "former client", false, false);
  Attached next(*log.server.region, "next client", false, false);
  const auto subscribing = log.subscribes(former);
  log.serving->onDead = [](const DeadReader&) { expect(false, "a reader that has left is told as dead"); };
  former.program.runs([=, at = former.region] {
    subscribing->reader().detach();
    at->close();
  });
  next.program.runs([=, at = next.region, topic = log.topic] {
    Claim claim;
    retry("a place that was left is not to be had", [&] { return claimReader(*at, topic, "reader", claim).ok(); }, millisecond);
    Subscribing own(at, claim);
    expect(own.attach(From::start), "the reader is not attached");
    own.reader().detach();
  });
  log.server.program.runs([serving = log.serving] {
    for (int i = 0; i < 3; i += 1) {
      serving->lookOnce();
      Scheduler::now().giveWay(millisecond);
    }
  });
}

// A session closes with a batch that it has sealed and not published. The slot's next session has the lane from there on,
// and rests with a sealed batch longer than a stop of the former client lasts: it stays as it was sealed.
void withdrawn() {
  Served log(logGeometry());
  Attached former(*log.server.region, "former", false);
  Attached next(*log.server.region, "next", false, false);
  const auto publishing = log.publishes(former);
  log.runs();
  former.program.runs([=] {
    expect(publishing->seal(0), "there is no room in an empty lane");
    publishing->lanes().close();
  });
  next.program.runs([=, at = next.region, topic = log.topic] {
    Claim claim;
    retry("the slot of a session that was closed does not come free", [&] { return claimClient(*at, topic, claim).ok(); });
    const auto own = Publishing::of(at, claim);
    retry("a session is not admitted", [&] { return own->ready(); }, 4 * pauseNanos);
    expect(own->seal(0), "there is no room in an empty lane");
    Scheduler::now().giveWay(20 * pauseNanos);
    own->lanes().publish(0);
    retry("a batch is not acknowledged", [&] { return own->lanes().committedBatches() == 1; });
  });
}

}  // namespace

std::vector<Configuration> logPlaces() {
  return {
    {"newcomer", "the oldest batches go while a reader claims a place and begins with them", &newcomer},
    {"vacated", "a process leaves the only topic, declares another one in its place, and publishes there", &vacated},
    {"wanted", "the only topic is freed for another while a reader claims a place of it", &wanted},
    {"resettled", "a topic is declared in a place that came free, and has a session at once", &resettled},
    {"begun", "a server begins to serve, and may die, while a reader attaches", &begun},
    {"quits", "a client closes its session, leaves its topic and the region, and does not count as dead", &quits},
    {"passes on", "the same with a reader's place, which another client then has and leaves", &passesOn},
    {"withdrawn", "a session closes with a sealed batch, and the next one has its place in the lane", &withdrawn},
  };
}

}  // namespace ringfence::explore
