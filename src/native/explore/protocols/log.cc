// The log: publishing and reading, room, trim against attach, the next session of a slot, deaths, the start of a server.
#include "log.h"

#include <cstring>

#include "departures.h"
#include "explore/trace.h"
#include "log_lives.h"
#include "lapped.h"
#include "log_looks.h"
#include "log_places.h"
#include "served.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

// One session, one reader: published, scanned, committed, read, acknowledged.
void publishAndRead(uint64_t batches) {
  Served log(logGeometry());
  Attached reader(*log.server.region, "reader");
  Attached publisher(*log.server.region, "publisher");
  const auto subscribing = log.subscribes(reader);
  const auto publishing = log.publishes(publisher);
  log.runs();
  reader.program.runs([=, sleeper = reader.sleeper] { subscribing->receive(batches, *sleeper); });
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    for (uint64_t i = 0; i < batches; i += 1) {
      if (!publishing->publish(i, sleeper.get())) expect(false, "a living session has ended");
    }
    publishing->awaitAcknowledged(batches, *sleeper);
    publishing->lanes().close();
  });
}

void publish() { publishAndRead(2); }
void room() { publishAndRead(10); }

// The oldest batches are trimmed for their room, while a reader attaches that begins with them, and leaves in the middle.
void trim() {
  Served log(logGeometry());
  Attached reader(*log.server.region, "reader");
  Attached publisher(*log.server.region, "publisher");
  const auto subscribing = log.subscribes(reader, false);
  const auto publishing = log.publishes(publisher);
  publisher.program.ahead([&] {
    for (uint64_t i = 0; i < 4; i += 1) publishing->publish(i, nullptr);
  });
  log.server.program.ahead([&] { log.serving->settle(); });
  log.runs();
  reader.program.runs([=] {
    if (!subscribing->attach(From::start)) return expect(false, "a reader that begins with the oldest is refused");
    for (int i = 0; i < 3; i += 1) {
      subscribing->take();
      Scheduler::now().giveWay(1'000'000);
    }
    subscribing->look();
    subscribing->reader().detach();
  });
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    for (uint64_t i = 4; i < 14; i += 1) {
      if (!publishing->publish(i, sleeper.get())) expect(false, "a living session has ended");
    }
  });
}

// The lane is full, and its only reader leaves with all batches in its hands: from then on their room is the publisher's,
// even if the reader dies before it has told so.
void leave() {
  Served log(logGeometry());
  Attached reader(*log.server.region, "reader");
  Attached publisher(*log.server.region, "publisher");
  const auto subscribing = log.subscribes(reader);
  const auto publishing = log.publishes(publisher);
  publisher.program.ahead([&] {
    for (uint64_t i = 0; i < 8; i += 1) publishing->publish(i, nullptr);
  });
  log.server.program.ahead([&] { log.serving->settle(); });
  log.runs();
  reader.program.runs([=] {
    expect(subscribing->look(), "what is committed is not read");
    subscribing->reader().detach();
  });
  publisher.program.runs([=, sleeper = publisher.sleeper] {
    if (!publishing->publish(8, sleeper.get())) expect(false, "a living session has ended");
  });
}

// A session ends, and the next one gets its slot and its lanes: no batch of the old session appears as the new one's.
void reuse() {
  Served log(logGeometry());
  Attached reader(*log.server.region, "reader");
  Attached former(*log.server.region, "former");
  Attached next(*log.server.region, "next", true, false);
  const auto subscribing = log.subscribes(reader);
  const auto publishing = log.publishes(former);
  log.runs();
  former.program.runs([=] {
    publishing->publish(0, nullptr);
    publishing->seal(1);  // never published
    publishing->lanes().close();
  });
  next.program.runs([=, topic = log.topic, region = next.region, sleeper = next.sleeper] {
    Claim claim;
    const auto claimed = [&] { return claimClient(*region, topic, claim).ok(); };
    for (int i = 0; !claimed(); i += 1) {
      expect(i < 40, "the slot of a session that has ended does not come free");
      Scheduler::now().giveWay(30'000'000);
    }
    const auto own = Publishing::of(region, claim);
    for (int i = 0; !own->ready(); i += 1) {
      expect(i < 40, "a session is not admitted");
      Scheduler::now().giveWay(30'000'000);
    }
    own->publish(0, sleeper.get());
    own->awaitAcknowledged(1, *sleeper);
  });
  atEnd([=, region = reader.region] {
    const uint64_t committed = peek<&TopicLine::Committed::entries>(region->topicLine(1, 0).committed);
    if (!Scheduler::now().deaths()) expect(committed == 2, "not each batch that was published is committed, and no other");
    expect(committed <= 2, "a batch is committed that was never published");
  });
}

// The place of a freed topic is declared anew while another process looks at it: it is free or declared, and does not
// count as damaged. `halfDeclared`: the freed topic's declarer died ahead of its last store.
void looksAt(bool halfDeclared) {
  Served log(logGeometry());
  Attached declarer(*log.server.region, "declarer", false);
  Attached other(*log.server.region, "other", false, false);
  if (halfDeclared) {
    declarer.program.ahead([&] {
      const uint64_t none = 0;
      memory::copyIn(&RawLine::of(declarer.region->topic(0)).generation, &none, sizeof(none), {});
    });
  }
  declarer.program.ahead([&] {
    TopicView topic;
    TopicWish wish;
    const Status status = declareTopic(*declarer.region, "u", orderTotal, 0, topic, &wish);
    expect(!status.ok() && std::strcmp(status.fault, "wished") == 0, "a place is free that a topic has");
  });
  log.server.program.ahead([&] { log.serving->settle(); });
  declarer.program.runs([=, at = declarer.region] {
    TopicView topic;
    expectOk(declareTopic(*at, "u", orderTotal, 0, topic), "declaring a topic in a place that came free");
  });
  other.program.runs([=, at = other.region] {
    TopicView topic;
    for (int i = 0; i < 2; i += 1) {
      const TopicState state = topicAt(*at, 0, topic);
      expect(state != TopicState::damaged, "a place counts as damaged that is just declared");
      expect(state != TopicState::declared || topic.name == "u", "a topic has a name that it was not given");
    }
  });
}

void looks() { looksAt(false); }
void halfDeclared() { looksAt(true); }

// A publisher looks again and again at what is acknowledged, also while the server is stopped: all of it is committed.
void told() {
  Served log(logGeometry(), true);
  Attached publisher(*log.server.region, "publisher", false, false);
  const auto publishing = log.publishes(publisher);
  publisher.program.runs([=, at = publisher.region] {
    publishing->publish(0, nullptr);
    for (int i = 0; i < 8; i += 1) {
      Scheduler::now().giveWay(1'000'000);
      const uint64_t acknowledged = publishing->lanes().committedBatches();
      const uint64_t committed = peek<&TopicLine::Committed::entries>(at->topicLine(1, 0).committed);
      expect(acknowledged <= committed, "more is acknowledged than is committed");
    }
  });
}

// The server pauses its sequencer and lets it go on, again and again, while a publisher rings: of all the rings the last
// one is heard.
void resumed() {
  Served log(logGeometry());
  Attached publisher(*log.server.region, "publisher", false);
  const auto publishing = log.publishes(publisher);
  const auto serving = log.serving;
  log.server.program.ahead([&] { serving->sequencer().pause(); });
  const auto published = make_shared<bool>(false);
  const auto waiting = make_shared<Actor*>(nullptr);
  publisher.program.runs([=] {
    publishing->publish(0, nullptr);
    *published = true;
    if (*waiting != nullptr) Scheduler::wake(**waiting);
  });
  log.server.program.runs([=, at = log.server.region] {
    Sequencer& sequencer = serving->sequencer();
    for (int i = 0; i < 2; i += 1) {
      sequencer.resume();
      sequencer.pause();
      Scheduler::now().giveWay(1'000'000);
    }
    *waiting = Scheduler::now().current();
    while (!*published && !Scheduler::now().deaths()) Scheduler::now().giveWay(1'000'000);
    sequencer.resume();
    const auto committed = [&] { return peek<&TopicLine::Committed::entries>(at->topicLine(1, 0).committed) != 0; };
    retry("the sequencer goes on, and a batch stays where it is", [&] { return committed() || !*published; }, 1'000'000);
  });
}

// A topic's counts and a session's were damaged from outside when the server stops, which writes them once more: from then
// on they stay as they are, so who sees that the server has stopped sees all that was committed.
void mended() {
  Served log(logGeometry(), true);
  Attached reader(*log.server.region, "reader", false, false);
  Attached publisher(*log.server.region, "publisher", false, false);
  const auto subscribing = log.subscribes(reader);
  const auto publishing = log.publishes(publisher);
  publisher.program.ahead([&] {
    for (uint64_t i = 0; i < 2; i += 1) publishing->publish(i, nullptr);
  });
  log.server.program.ahead([&] {
    log.serving->settle();
    const uint64_t wrong = 0;
    memory::copyIn(&RawLine::of(log.server.region->topicLine(1, 0).committed).entries, &wrong, sizeof(wrong), {});
    memory::copyIn(&RawLine::of(log.server.region->sessionLine(1, 0).acknowledged).batches, &wrong, sizeof(wrong), {});
  });
  log.server.program.runs([serving = log.serving] { serving->sequencer().stop(); });
  const auto untilTheEnd = [](const shared_ptr<Region>& at) {
    ServerState state = serverServing;
    for (; state == serverServing; state = serverState(*at)) Scheduler::now().giveWay(1'000'000);
    return state;
  };
  reader.program.runs([=, at = reader.region] {
    const ServerState state = untilTheEnd(at);
    while (subscribing->more()) subscribing->take();
    expect(state != serverStopped || subscribing->count() == 2, "the server has stopped, and committed batches are missing");
  });
  publisher.program.runs([=, at = publisher.region] {
    const ServerState state = untilTheEnd(at);
    const uint64_t acknowledged = publishing->lanes().committedBatches();
    expect(state != serverStopped || acknowledged == 2, "the server has stopped, and committed batches are not acknowledged");
  });
}

// Two processes want to serve; the first may die at any moment of its start.
void start() {
  const auto region = made(logGeometry());
  Attached first(*region, "first server", false);
  Attached second(*region, "second server", false, false);
  Attached client(*region, "client", false);
  const auto serving = make_shared<int>(0);
  const auto serve = [=](const shared_ptr<Region>& at, const auto& whenBusy) {
    SequencerOptions options;
    options.manual = true;
    auto sequencer = make_shared<Sequencer>(at, options);
    for (int i = 0; i < 100; i += 1) {
      const Status status = sequencer->start();
      if (status.ok()) {
        Trace::say("serves");
        *serving += 1;
        expect(*serving == 1 || Scheduler::now().deaths(), "two processes serve one log");
        atEnd([sequencer] {});
        return;
      }
      expect(std::strcmp(status.fault, "busy") == 0, std::string("no server: ") + status.fault);
      if (!whenBusy()) return;
    }
  };
  first.program.runs([=, at = first.region] { serve(at, [] { return false; }); });
  second.program.runs([=, at = second.region] {
    serve(at, [] { return Scheduler::now().giveWay(1'000'000), true; });
  });
  client.program.runs([=, at = client.region] {
    for (int i = 0; i < 4; i += 1) {
      const ServerState state = serverState(*at);
      if (state == serverServing) expect(newestSeen(*at).served(), "a log is served in no epoch");
      expect(state != serverDied || Scheduler::now().deaths(), "a server is told as dead that lives");
      expect(state != serverStopped, "a server is told as stopped that was not");
      Scheduler::now().giveWay(1'000'000);
    }
  });
  atEnd([=] {
    expect(*serving <= 1 || Scheduler::now().deaths(), "two processes have served one log");
    const Epoch newest = newestSeen(*region);
    // A server that died before it said that it serves leaves the log to the next.
    expect(newest.served(), "none serves, though one lives that wants to");
    const auto& head = region->blockHead(newest.number).head;
    expect(peek<&BlockHead::word>(head) == headWordOf(newest) && peek<&BlockHead::again>(head) == headWordOf(newest), "the epoch is not whole");
  });
}

}  // namespace

Protocol logProtocol() {
  Protocol protocol{"log", "the log: sessions, the sequencer, readers", {
    {"publish", "two batches: published, scanned, committed, read, acknowledged", &publish},
    {"room", "more batches than the lane has slots: the publisher sleeps until the reader gives them back", &room},
    {"trim", "the oldest batches go while a reader comes that begins with them", &trim},
    {"leave", "the lane is full, and its reader leaves with all batches in its hands", &leave},
    {"looks", "the place of a freed topic is declared anew while another process looks at it", &looks},
    {"half declared", "the same, and the freed topic's declarer died ahead of its last store", &halfDeclared},
    {"told", "a publisher looks at its acknowledgements while the server may be stopped", &told},
    {"resumed", "the server pauses its sequencer and lets it go on while a publisher rings", &resumed},
    {"mended", "a topic's and a session's counts were damaged when the server stops", &mended},
    {"reuse", "a session ends or dies, and the next has its slot and its lanes", &reuse},
    {"start", "two want to serve, and the first may die at any moment of its start", &start},
  }};
  for (const Configuration& one : logLives()) protocol.configurations.push_back(one);
  for (const Configuration& one : logPlaces()) protocol.configurations.push_back(one);
  for (const Configuration& one : logDepartures()) protocol.configurations.push_back(one);
  for (const Configuration& one : logLooks()) protocol.configurations.push_back(one);
  for (const Configuration& one : logLapped()) protocol.configurations.push_back(one);
  return protocol;
}

}  // namespace ringfence::explore
