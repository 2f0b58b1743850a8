#include "replicas_rest.h"

#include "explore/protocols/served.h"
#include "explore/trace.h"
#include "log/sequencer/broker_grants.h"
#include "replica_ends.h"

namespace ringfence::explore {

namespace {

using namespace durable;
using std::make_shared;
using std::shared_ptr;

constexpr uint64_t shortNanos = 1'000'000;

void pauses() { Scheduler::now().giveWay(shortNanos); }

// A replica that is attached ahead of the schedule. One disk is enough for it.
shared_ptr<Replicating> replicates(Attached& place, TopicPlace topic, uint64_t key, const shared_ptr<Disk>& disk) {
  shared_ptr<Replicating> replica;
  place.program.ahead([&] {
    Claim claim;
    expectOk(claimReader(*place.region, topic, "replica", claim), "claiming a replica's place");
    replica = make_shared<Replicating>(place.region, claim, ReplicaRole{key, 1}, disk);
    expectOk(replica->attach(), "attaching a replica");
  });
  atEnd([replica] {});
  return replica;
}

// The process of a replica has died in the midst of its line, and another replica has all. A publisher waits: it is told once
// the server has found the dead one.
void torn() {
  Geometry g = logGeometry();
  g.readers = 2;
  g.processes = 8;
  Served log(g, false, orderSession, ackDurable);
  Attached publisher(*log.server.region, "publisher", true, false);
  Attached gone(*log.server.region, "gone", false, false), other(*log.server.region, "other", false, false);
  const auto publishing = log.publishes(publisher);
  const auto left = replicates(gone, log.topic, 1, make_shared<Disk>());
  const auto staying = replicates(other, log.topic, 2, make_shared<Disk>());
  publisher.program.ahead([&] { publishing->publish(0, nullptr); });
  log.server.program.ahead([&] { log.serving->settle(); });
  other.program.ahead([&] { expect(staying->sync(), "there is no batch"); });
  gone.program.ahead([&] {
    const uint64_t cursor = 1;
    memory::copyIn(&RawLine::of(gone.region->reader(0, 0).line).cursor, &cursor, sizeof(cursor), {});
    gone.region->close();
  });
  publisher.program.runs([=, at = publisher.region, sleeper = publisher.sleeper] {
    Durable durable(publishing);
    const auto there = [&] {
      const uint64_t generation = peek<&ReaderClaim::generation>(at->reader(0, 0).claim);
      return peek<&ReaderEnd::endedGeneration>(at->readerEnd(1, 0, 0)) == generation;
    };
    sleeper->until(sleepsForData, "durable batches", [&] { return durable.batches() == 1; }, there);
  });
  log.server.program.runs([serving = log.serving] {
    for (int i = 0; i < 2; i += 1) {
      serving->lookOnce();
      pauses();
    }
  });
}

SequencerOptions requiring(uint32_t copies) {
  SequencerOptions options;
  options.manual = true;
  options.copies = copies;
  return options;
}

// Of three servers in turn the last one requires two disks, and has the block of the first one, which required one. There is
// one disk: what is published from then on is not durable, and the server behind them requires as much.
void raised() {
  Geometry g = logGeometry();
  g.processes = 8;
  const auto region = made(g);
  Attached watcher(*region, "watcher", false, true), late(*region, "late watcher", false, false);
  Attached former(*region, "former server", false, false), server(*region, "server", false, false);
  Attached publisher(*region, "publisher", false, false), place(*region, "replica", false, false);
  const auto servers = make_shared<std::vector<shared_ptr<Sequencer>>>();
  const auto serves = [servers](const shared_ptr<Region>& at, uint32_t copies) {
    servers->push_back(make_shared<Sequencer>(at, requiring(copies)));
    expectOk(servers->back()->start(), "taking the log over");
    return servers->back();
  };
  atEnd([servers] {});
  TopicView topic;
  Claim claim;
  shared_ptr<Publishing> publishing;
  shared_ptr<Sequencer> first;
  const auto settle = [&] {
    server.program.ahead([&] {
      for (bool moved = true; moved;) {
        moved = first->step();
        moved = grantLanes(*server.region, 0) != 0 || moved;
      }
    });
  };
  server.program.ahead([&] {
    first = serves(server.region, 1);
    expectOk(declareTopic(*server.region, "t", orderSession, ackDurable, topic), "declaring the topic");
  });
  publisher.program.ahead([&] { expectOk(claimClient(*publisher.region, topic.place(), claim), "claiming a session"); });
  settle();
  publisher.program.ahead([&] {
    publishing = Publishing::of(publisher.region, claim);
    expect(publishing->ready(), "the session is not admitted");
    publishing->publish(0, nullptr);
  });
  const auto disk = make_shared<Disk>();
  const auto replica = replicates(place, topic.place(), 1, disk);
  settle();
  place.program.ahead([&] { expect(replica->sync(), "there is no batch"); });
  server.program.ahead([&] { first->stop(true); });

  const auto looked = make_shared<int>(0);
  const auto done = make_shared<bool>(false);
  const auto looks = [=](const Region& at) {
    expect(durabilityOf(at, 0).entries.value_or(0) <= 1, "what is on too few disks is said to be durable");
  };
  // Not waited for: it may be stopped in the midst of its first look until another epoch has that block.
  watcher.program.runs([=, at = watcher.region] {
    looks(*at);
    while (!*done) {
      pauses();
      looks(*at);
    }
  });
  late.program.runs([=, at = late.region] {
    looks(*at);
    *looked += 1;
    while (disk->entries != 2) pauses();
    looks(*at);
  });
  former.program.runs([=, at = former.region, process = &watcher.program.process()] {
    while (*looked != 1) pauses();
    serves(at, 0)->stop(true);
    *looked += 1;
    while (!*done || process->stopped) pauses();
    pauses();
    serves(at, 0);
    expect(peek<&ServiceLine::copies>(at->blockHead(4).service) == copiesWordOf(2), "a successor requires fewer disks");
  });
  server.program.runs([=, at = server.region] {
    while (*looked != 2) pauses();
    const auto own = serves(at, 2);
    *looked += 1;
    while (disk->entries != 2) {
      own->step();
      pauses();
    }
    own->stop(true);
    *done = true;
  });
  publisher.program.runs([=] {
    while (*looked != 3) pauses();
    expect(publishing->publish(1, nullptr), "there is no room");
  });
  place.program.runs([=] {
    while (disk->entries != 2) {
      replica->sync();
      pauses();
    }
  });
}

}  // namespace

std::vector<Configuration> replicasRest() {
  return {
    {"torn", "a replica's process has died in the midst of its line, and a publisher waits until it is found dead", &torn},
    {"raised", "a server requires more disks than the one that had its block before", &raised},
  };
}

}  // namespace ringfence::explore
