#include "departures.h"

#include <cstring>

#include "attached.h"
#include "explore/trace.h"
#include "log/sequencer/broker_grants.h"
#include "log/sequencer/sequencer.h"
#include "log_ends.h"
#include "region/claim_locks.h"
#include "region/server.h"
#include "ring_ends.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

bool is(const char* fault, const char* name) { return fault != nullptr && std::strcmp(fault, name) == 0; }

shared_ptr<Sequencer> sequencerOf(const shared_ptr<Region>& region) {
  SequencerOptions options;
  options.manual = true;
  const auto sequencer = make_shared<Sequencer>(region, options);
  expectOk(sequencer->start(), "starting the sequencer");
  return sequencer;
}

// A server stops and leaves the region while a client asks for it: it has stopped, and never counts as dead.
// `again`: it has taken its own log over, so that the head of its epoch is the first one that is looked at.
void leavesAt(bool again) {
  const auto region = made(logGeometry());
  Attached client(*region, "client", false);
  Attached server(*region, "server", false, false);
  shared_ptr<Sequencer> sequencer;
  server.program.ahead([&] {
    sequencer = sequencerOf(server.region);
    if (!again) return;
    sequencer->stop(true);
    sequencer = sequencerOf(server.region);
  });
  atEnd([sequencer] {});
  client.program.runs([=, at = client.region] {
    for (int i = 0; i < 3; i += 1) {
      const ServerState state = serverState(*at);
      expect(state == serverServing || state == serverStopped, "a server that has stopped is told as dead");
      Scheduler::now().giveWay(1'000'000);
    }
  });
  server.program.runs([=, at = server.region] {
    sequencer->stop();
    at->close();
  });
}

void leaves() { leavesAt(false); }
void leavesAgain() { leavesAt(true); }

// The server orders what is there and stops while a reader asks for it: behind the stop the reader has all of it.
void last() {
  const auto region = made(logGeometry());
  Attached reader(*region, "reader", false);
  Attached server(*region, "server", false, false);
  Attached publisher(*region, "publisher", false, false);
  shared_ptr<Sequencer> sequencer;
  TopicView topic;
  server.program.ahead([&] {
    sequencer = sequencerOf(server.region);
    expectOk(declareTopic(*server.region, "t", orderTotal, 1, topic), "declaring the topic");
  });
  Claim claim;
  shared_ptr<Publishing> publishing;
  shared_ptr<Subscribing> subscribing;
  publisher.program.ahead([&] { expectOk(claimClient(*publisher.region, topic.place(), claim), "claiming a session"); });
  reader.program.ahead([&] {
    Claim place;
    expectOk(claimReader(*reader.region, topic.place(), "reader", place), "claiming a reader's place");
    subscribing = make_shared<Subscribing>(reader.region, place);
    expect(subscribing->attach(From::start), "the reader is not attached");
  });
  server.program.ahead([&] {
    while (sequencer->step() || grantLanes(*server.region, 0) != 0) continue;
  });
  publisher.program.ahead([&] {
    publishing = Publishing::of(publisher.region, claim);
    expect(publishing->ready(), "the session is not admitted");
    publishing->publish(0, nullptr);
  });
  atEnd([sequencer, publishing] {});
  reader.program.runs([=, at = reader.region] {
    for (int i = 0; i < 2; i += 1) {
      if (serverState(*at) == serverStopped) {
        while (subscribing->more()) subscribing->take();
        expect(subscribing->count() == 1, "the log has stopped, and its reader does not get all of it");
      }
      Scheduler::now().giveWay(1'000'000);
    }
  });
  server.program.runs([=] { sequencer->stop(); });
}

// A process attaches and begins to serve while a client asks for the server: that lives, as does the creator, which
// stands in for it.
void found() {
  const auto region = made(logGeometry());
  Attached client(*region, "client", false);
  Program server("server", false);
  client.program.runs([=, at = client.region] {
    for (int i = 0; i < 3; i += 1) {
      expect(serverOf(*at).alive && serverState(*at) != serverDied, "a server is told as dead that lives");
      Scheduler::now().giveWay(1'000'000);
    }
  });
  server.runs([=] {
    const auto own = attachedTo(*region, "server");
    const auto sequencer = sequencerOf(own);
    atEnd([own, sequencer] {});
  });
}

// The creator closes as soon as another process serves. `ends`: that one then stops and leaves.
void handOver(bool ends, void (*look)(const Region& at)) {
  Program creator("creator", false);
  const auto region = madeRegion(creator, logGeometry());
  Attached client(*region, "client", false);
  Attached server(*region, "server", false, false);
  atEnd([region] {});
  client.program.runs([=, at = client.region] {
    for (int i = 0; i < 3; i += 1) {
      look(*at);
      Scheduler::now().giveWay(1'000'000);
    }
  });
  const auto left = make_shared<bool>(false);
  server.program.runs([=, at = server.region] {
    const auto sequencer = sequencerOf(at);
    atEnd([sequencer] {});
    if (!ends) return;
    while (!*left) Scheduler::now().giveWay(1'000'000);
    sequencer->stop();
    at->close();
  });
  creator.runs([=] {
    while (serverState(*region) != serverServing) Scheduler::now().giveWay(1'000'000);
    region->close();
    *left = true;
  });
}

// A client asks for the server: it or the creator lives.
void handed() {
  handOver(false, [](const Region& at) { expect(serverOf(at).alive, "a server is told as dead that lives"); });
}

// The server stops, and never counts as dead.
void passing() {
  handOver(true, [](const Region& at) { expect(serverState(at) != serverDied, "a server that has stopped is told as dead"); });
}

shared_ptr<Sending> writing(Attached& writer) {
  shared_ptr<Sending> sending;
  writer.program.ahead([&] { sending = make_shared<Sending>(writer.region); });
  atEnd([sending] {});
  return sending;
}

// Opens the ring, as soon as there is no other writer.
std::unique_ptr<RingWriter> opened(const shared_ptr<Region>& region, const char* name) {
  const char* fault = nullptr;
  auto writer = openedWriter(region, name, fault);
  for (Patience patience; writer == nullptr && patience.lasts();) {
    expect(is(fault, "busy") || is(fault, "exists") || is(fault, "full"), std::string("the ring is not opened: ") + fault);
    writer = openedWriter(region, name, fault);
  }
  return writer;
}

// A writer leaves the region, and the next one has its slot: the ring has not ended as long as that one writes it.
void tenant() {
  Geometry geometry = ringGeometry();
  geometry.processes = 3;
  const auto region = made(geometry);
  Attached writer(*region, "writer", false, false);
  Attached reader(*region, "reader", false);
  Program next("next writer", false);
  const auto sending = writing(writer);
  shared_ptr<Receiving> receiving;
  reader.program.ahead([&] { receiving = make_shared<Receiving>(reader.region); });
  const auto writes = make_shared<bool>(false);
  reader.program.runs([=, at = reader.region] {
    for (int i = 0; i < 6; i += 1) {
      receiving->take();
      const bool wrote = *writes;
      // What tells it of the next writer orders, too.
      if (wrote) static_cast<void>(at->publication().fullFence());
      const bool hasEnded = receiving->ended();
      expect(!wrote || !*writes || !hasEnded, "a ring has ended whose writer lives");
      Scheduler::now().giveWay(1'000'000);
    }
  });
  writer.program.runs([=, at = writer.region] {
    sending->send(0, nullptr);
    at->close();
  });
  next.runs([=] {
    shared_ptr<Region> own;
    Status status = Region::reattach(*region, "next writer", own);
    for (Patience patience; is(status.fault, "full") && patience.lasts();) status = Region::reattach(*region, "next writer", own);
    expectOk(status, "attaching");
    Sending sends(own, opened(own, "ring"));
    *writes = true;
    sends.send(framesOfAWriter, nullptr);
    Scheduler::now().giveWay(4'000'000);
    *writes = false;
    sends.writer().close();
  });
}

// A writer sends more than the ring holds and leaves the region, while two others want to go on: each finds the end.
void lap() {
  const auto region = made(ringGeometry());
  Attached former(*region, "former writer", false);
  Attached next(*region, "next writer", false);
  Attached writer(*region, "writer", false);
  former.program.ahead([&] { Sending(former.region).writer().close(); });
  next.program.runs([=, at = next.region] {
    const auto own = opened(at, "ring");
    expect(own != nullptr, "a ring without a writer is not to be had");
    own->close();
  });
  writer.program.runs([=, at = writer.region] {
    auto own = opened(at, "ring");
    expect(own != nullptr, "a ring without a writer is not to be had");
    Sending sending(at, std::move(own));
    for (uint64_t i = 0; i < 6; i += 1) i % 3 == 2 ? sending.send(large + i, nullptr) : sending.append(large + i);
    at->close();
  });
}

// A writer has left without a word, the next one may die while it takes the ring, and yet another one goes on.
void heirs() {
  const auto region = made(ringGeometry());
  Attached writer(*region, "writer", false);
  Attached next(*region, "next writer", false);
  Attached last(*region, "last writer", false, false);
  const auto sending = writing(writer);
  writer.program.ahead([&] { writer.region->close(); });
  for (Attached* place : {&next, &last}) {
    place->program.runs([=, at = place->region] {
      const auto own = opened(at, "ring");
      expect(own != nullptr, "a ring without a writer is not to be had");
      own->close();
    });
  }
}

// A reader attaches while the writer, which sends as much as the ring holds, moves on, and then waits for room.
void moves() {
  const auto region = made(ringGeometry());
  Attached writer(*region, "writer");
  Attached reader(*region, "reader");
  const auto sending = writing(writer);
  reader.program.runs([=, at = reader.region, sleeper = reader.sleeper] {
    const char* fault = nullptr;
    auto own = openedReader(at, "ring", fault);
    for (Patience patience; own == nullptr && patience.lasts();) own = openedReader(at, "ring", fault);
    expect(own != nullptr, "the ring is not read");
    const auto kept = make_shared<Receiving>(at, std::move(own));
    atEnd([kept] {});
    kept->receive(*sleeper);
  });
  writer.program.runs([=, sleeper = writer.sleeper] {
    for (uint64_t i = 0; i < 4; i += 1) sending->send(large + i, nullptr);
    Scheduler::now().giveWay(1'000'000);
    for (uint64_t i = 4; i < 6; i += 1) sending->send(large + i, sleeper.get());
    sending->writer().close();
  });
}

// The giver of a name has died ahead of its last word. One process completes it, writes the ring and gives it another
// name, while a second one has looked for the name, too.
void halfNamed() {
  const auto region = made(ringGeometry());
  Attached former(*region, "former writer", false);
  Attached late(*region, "late process", false);
  Attached first(*region, "first process", false);
  former.program.ahead([&] {
    Sending(former.region).writer().close();
    auto& line = former.region->ring(0).name;
    const uint32_t naming = peek<&RingName::naming>(line);
    const ClaimLock lock = ClaimLock::ofNames(*former.region);
    former.region->publication().on(lock.nameGiver(), line).publish<&RingName::naming>(naming - 1);
  });
  late.program.runs([=, at = late.region] {
    expect(opened(at, "ring") != nullptr || Scheduler::now().deaths(), "a ring without a writer is not to be had");
  });
  first.program.runs([=, at = first.region] {
    for (const char* name : {"ring", "other"}) {
      if (const auto writer = opened(at, name)) writer->close();
    }
  });
}

// One process gives a ring another name while a second one goes on with it under the old name: one of the two has it.
void contested() {
  const auto region = made(ringGeometry());
  Attached former(*region, "former writer", false);
  Attached namer(*region, "namer", false);
  Attached next(*region, "next writer", false);
  former.program.ahead([&] { Sending(former.region).writer().close(); });
  const auto writers = make_shared<int>(0);
  const auto writes = [=](Attached& place, const char* name) {
    place.program.runs([=, at = place.region] {
      const auto writer = opened(at, name);
      if (writer == nullptr) return;
      *writers += 1;
      expect(*writers == 1 || Scheduler::now().deaths(), "two processes write one ring");
      Scheduler::now().giveWay(1'000'000);
      *writers -= 1;
      writer->close();
    });
  };
  writes(namer, "other");
  writes(next, "ring");
}

// Two readers have all places; when one leaves, a third process gets its place.
void seat() {
  const auto region = made(ringGeometry());
  Attached third(*region, "third process", false);
  Attached readers(*region, "readers", false);
  Attached writer(*region, "writer", false);
  const auto sending = writing(writer);
  shared_ptr<Receiving> one, two;
  readers.program.ahead([&] {
    one = make_shared<Receiving>(readers.region);
    two = make_shared<Receiving>(readers.region);
  });
  atEnd([one, two] {});
  third.program.runs([=, at = third.region] {
    const char* fault = nullptr;
    auto reader = openedReader(at, "ring", fault);
    for (Patience patience; reader == nullptr && patience.lasts();) reader = openedReader(at, "ring", fault);
    expect(reader != nullptr, "a place that was left is not to be had");
  });
  readers.program.runs([=] { one->reader().detach(); });
}

// A process counts a ring's readers, as a fence does: one that has attached by then is among them.
void counted() {
  const auto region = made(ringGeometry());
  Attached writer(*region, "writer", false);
  Attached counter(*region, "fence", false);
  Attached reader(*region, "reader", false, false);
  const auto sending = writing(writer);
  const auto isThere = make_shared<bool>(false);
  counter.program.runs([=, at = counter.region] {
    for (int i = 0; i < 3; i += 1) {
      const bool wasThere = *isThere;
      static_cast<void>(at->publication().fullFence());
      expect(!wasThere || activeReader(*at, 0, 0).generation != 0, "a reader has attached, and is not counted");
      Scheduler::now().giveWay(1'000'000);
    }
  });
  reader.program.runs([=, at = reader.region] {
    const auto receiving = make_shared<Receiving>(at);
    atEnd([receiving] {});
    *isThere = true;
  });
}

// A process waits until a ring is opened, as a coordinator does.
void openings() {
  const auto region = made(ringGeometry());
  Attached watcher(*region, "watcher");
  Attached writer(*region, "writer", false);
  watcher.program.runs([=, at = watcher.region, sleeper = watcher.sleeper] {
    const auto there = [=] { return peek<&RingClaim::generation>(region->ring(0).claim) != 0; };
    sleeper->until(sleepsForFrames, "an opening", [=] { return ringOpenings(*at) != 0 || Scheduler::now().deaths(); }, there);
  });
  writer.program.runs([=, at = writer.region] { Sending(at).writer().close(); });
}

// A process comes and goes: another one notices it, which sleeps for that alone.
void visitor() {
  const auto region = made(ringGeometry());
  Attached watcher(*region, "watcher");
  Program visits("visitor", false);
  watcher.program.runs([=, sleeper = watcher.sleeper] {
    const uint64_t before = sleeper->lives();
    sleeper->until(sleepsForEnd, "a process that comes or goes", [=] { return sleeper->lives() != before; }, [] { return false; });
  });
  visits.runs([=] {
    const auto own = attachedTo(*region, "visitor");
    Scheduler::now().giveWay(1'000'000'000);
    own->close();
  });
}

}  // namespace

std::vector<Configuration> logDepartures() {
  return {
    {"leaves", "the server stops and leaves the region while a client asks for it", &leaves},
    {"leaves again", "the same when it has taken its own log over", &leavesAgain},
    {"last", "the server stops while a reader, which then has all that was ordered, asks for it", &last},
    {"found", "a process attaches and serves while a client asks for the server", &found},
    {"handed", "the creator goes when another process serves, while a client asks for the server", &handed},
    {"passing", "the same, and that process stops and leaves, too", &passing},
  };
}

std::vector<Configuration> ringDepartures() {
  return {
    {"tenant", "a writer leaves the region, and the next one has its slot", &tenant},
    {"lap", "a writer sends more than a lap and leaves while another wants to go on", &lap},
    {"counted", "a process counts a ring's readers while one attaches", &counted},
    {"openings", "a process waits until a ring is opened", &openings},
    {"heirs", "a writer has left, the next one may die while it takes the ring, and another goes on", &heirs},
    {"moves", "a reader attaches while the writer moves on and then waits for room", &moves},
    {"half named", "a name whose giver has died is completed, and the ring gets another", &halfNamed},
    {"contested", "a ring gets another name while a process goes on with it", &contested},
    {"seat", "a reader leaves while all places are taken, and another has its place", &seat},
  };
}

std::vector<Configuration> regionDepartures() {
  return {{"visitor", "a process attaches and leaves, and another one notices it", &visitor}};
}

}  // namespace ringfence::explore
