#include "replicas.h"

#include <cstring>

#include "explore/protocols/served.h"
#include "explore/trace.h"
#include "replica_ends.h"
#include "replicas_rest.h"

namespace ringfence::explore {

namespace {

using namespace durable;
using std::make_shared;
using std::shared_ptr;

constexpr uint64_t shortNanos = 1'000'000;

bool deaths() { return Scheduler::now().deaths(); }

Geometry geometryFor(uint32_t readers) {
  Geometry g = logGeometry();
  g.readers = readers;
  g.processes = 8;
  return g;
}

// Which side says how many disks are required.
enum class Says { replicas, server };

// A durable topic, its server, a publisher, and the disks of its replicas.
struct DurableLog {
  size_t copies;
  Says says;
  Served log;
  Attached publisher;
  shared_ptr<Publishing> publishing;
  std::vector<shared_ptr<Disk>> disks;

  explicit DurableLog(uint32_t readers, size_t copiesRequired = 1, bool serverDies = false, Says sayer = Says::replicas)
      : copies(copiesRequired), says(sayer),
        log(geometryFor(readers), serverDies, orderSession, ackDurable,
            sayer == Says::server ? static_cast<uint32_t>(copiesRequired) : 0),
        publisher(*log.server.region, "publisher", true, false), publishing(log.publishes(publisher)) {
    for (size_t i = 0; i < copies; i += 1) disks.push_back(make_shared<Disk>());
  }

  ReplicaRole roleOf(size_t disk) const { return {disk + 1, says == Says::server ? 1 : copies}; }

  // A replica that is attached ahead of the schedule.
  shared_ptr<Replicating> replicates(Attached& place, size_t disk) {
    shared_ptr<Replicating> replica;
    place.program.ahead([&] { replica = replicating(place.region, disk)(); });
    return replica;
  }

  // Claims a place and attaches, within the schedule too. It is never refused what its disk lacks.
  std::function<shared_ptr<Replicating>()> replicating(const shared_ptr<Region>& at, size_t disk) const {
    return [at, own = disks[disk], role = roleOf(disk), topic = log.topic] {
      Claim claim;
      retry("a replica's place does not come free", [&] { return claimReader(*at, topic, "replica", claim).ok(); }, shortNanos);
      const auto replica = make_shared<Replicating>(at, claim, role, own);
      retry("a replica is not attached", [&] {
        const Status status = replica->attach();
        expect(status.ok() || std::strcmp(status.fault, "recovering") == 0, std::string("a replica is refused: ") + (status.ok() ? "" : status.fault));
        return status.ok();
      }, shortNanos);
      return replica;
    };
  }

  // Publishes, and waits until all of it is durable, which it is told of no earlier.
  void publishes(uint64_t batches, const std::function<bool()>& ends = [] { return false; }) {
    const auto durable = make_shared<Durable>(publishing);
    publisher.program.runs([=, publishing = publishing, disks = disks, copies = copies, sleeper = publisher.sleeper, at = publisher.region] {
      const auto look = [=] {
        const uint64_t told = durable->batches();
        expect(told <= onDisks(disks, copies), "what is on too few disks is said to be durable");
        return told;
      };
      for (uint64_t i = 0; i < batches; i += 1) {
        if (!publishing->publish(i, sleeper.get())) return expect(false, "a living session has ended");
        look();
        expectKept(*at, disks);
      }
      if (!ends()) durable->await(batches, *sleeper, *at);
      look();
    });
  }

  // Nothing is trimmed that no replica has.
  static void expectKept(const Region& at, const std::vector<shared_ptr<Disk>>& disks) {
    const uint64_t trim = peek<&TopicLine::Retention::firmTrim>(at.topicLine(1, 0).retention);
    expect(trim <= onDisks(disks, 1), "what no replica has is trimmed");
  }
};

// A subscriber that sees only what is durable: each batch is on the disks when it has it.
void subscribes(DurableLog& at, Attached& place, uint64_t batches) {
  shared_ptr<Subscribing> subscribing;
  place.program.ahead([&] {
    Claim claim;
    expectOk(claimReader(*place.region, at.log.topic, "reader", claim), "claiming a reader's place");
    subscribing = make_shared<Subscribing>(place.region, claim, ReaderKind{{}, true});
    expect(subscribing->attach(From::start), "the reader is not attached");
  });
  place.program.runs([=, region = place.region, disks = at.disks, copies = at.copies, sleeper = place.sleeper] {
    while (subscribing->count() < batches) {
      const auto there = [&] { return peekDurable(*region) > subscribing->reader().next() && subscribing->moreIsThere(); };
      sleeper->until(sleepsForData, "a durable batch", [&] { return subscribing->more(); }, there);
      subscribing->take();
      expect(subscribing->count() <= onDisks(disks, copies), "a batch is read that is on too few disks");
    }
  });
}

// One replica; what is published is durable, and then read.
void synced() {
  constexpr uint64_t batches = 2;
  DurableLog at(2);
  Attached replica(*at.log.server.region, "replica", true, false);
  Attached reader(*at.log.server.region, "reader", true, false);
  const auto replicating = at.replicates(replica, 0);
  subscribes(at, reader, batches);
  at.log.runs();
  at.publishes(batches);
  replica.program.runs([=, sleeper = replica.sleeper] { replicating->syncUntil(batches, *sleeper, [] { return false; }); });
}

// Its process, while it lives, writes what the disk lacks. The next one goes on with the same disk once that one is dead.
void heirTo(DurableLog& at, Attached& first, Attached& next, size_t disk, uint64_t batches) {
  const auto replicating = at.replicates(first, disk);
  const auto told = make_shared<bool>(false);
  first.program.runs([=, sleeper = first.sleeper] {
    replicating->syncUntil(batches, *sleeper, [] { return false; });
    *told = true;
  });
  next.program.runs([=, attach = at.replicating(next.region, disk), own = at.disks[disk], process = &first.program.process()] {
    while (process->alive && !*told) Scheduler::now().giveWay(shortNanos);
    if (*told) return;
    const auto replica = attach();
    while (own->entries < batches) {
      replica->sync();
      Scheduler::now().giveWay(shortNanos);
    }
    atEnd([replica] {});
  });
}

// The process of a replica dies at any moment, and another one goes on with its disk.
void heir() {
  constexpr uint64_t batches = 3;
  DurableLog at(3);
  Attached first(*at.log.server.region, "replica");
  Attached next(*at.log.server.region, "next", false, false);
  Attached reader(*at.log.server.region, "reader", true, false);
  heirTo(at, first, next, 0, batches);
  subscribes(at, reader, batches);
  at.log.runs();
  at.publishes(batches);
}

// Two disks are required. The process of one replica dies at any moment: two processes with one disk are one copy.
void twoDisks(Says says) {
  constexpr uint64_t batches = 2;
  DurableLog at(3, 2, false, says);
  Attached first(*at.log.server.region, "replica");
  Attached next(*at.log.server.region, "next", false, false);
  Attached other(*at.log.server.region, "other", true, false);
  heirTo(at, first, next, 0, batches);
  const auto replicating = at.replicates(other, 1);
  at.log.runs();
  at.publishes(batches);
  other.program.runs([=, sleeper = other.sleeper] { replicating->syncUntil(batches, *sleeper, [] { return false; }); });
}

void copies() { twoDisks(Says::replicas); }
void told() { twoDisks(Says::server); }

// More batches than the lane has slots: they are trimmed once the replica has them, also while its process dies and the
// next one comes.
void room() {
  constexpr uint64_t batches = 10;
  DurableLog at(2);
  Attached first(*at.log.server.region, "replica");
  Attached next(*at.log.server.region, "next", false, false);
  heirTo(at, first, next, 0, batches);
  at.log.runs();
  at.publishes(batches);
}

// The lane is full, and no replica is there: nothing is trimmed until one comes, which has all of it. It leaves and comes
// back while the oldest go.
void back() {
  constexpr uint64_t batches = 12;
  DurableLog at(2);
  Attached replica(*at.log.server.region, "replica", false);
  at.publisher.program.ahead([&] {
    for (uint64_t i = 0; i < 8; i += 1) at.publishing->publish(i, nullptr);
  });
  at.log.server.program.ahead([&] { at.log.serving->settle(); });
  at.log.runs();
  const auto done = make_shared<bool>(false);
  at.publisher.program.runs([=, publishing = at.publishing, region = at.publisher.region, disks = at.disks] {
    for (uint64_t i = 8; i < batches; i += 1) {
      for (int pauses = 0; !publishing->seal(i); pauses += 1) {
        DurableLog::expectKept(*region, disks);
        if (deaths() || pauses == pausesMax) return expect(deaths(), "a replica has all, and there is no room");
        publishing->lanes().wantRoom();
        Scheduler::now().giveWay(shortNanos);
      }
      DurableLog::expectKept(*region, disks);
      publishing->lanes().publish(0);
    }
    *done = true;
  });
  replica.program.runs([=, attach = at.replicating(replica.region, 0), disks = at.disks] {
    for (int i = 0; i < 2; i += 1) {
      const auto replicating = attach();
      for (int turn = 0; turn < 2; turn += 1) {
        replicating->sync();
        Scheduler::now().giveWay(shortNanos);
      }
      replicating->reader().detach();
    }
    const auto replicating = attach();
    while (!*done || replicating->more()) {
      replicating->sync();
      Scheduler::now().giveWay(shortNanos);
    }
  });
}

// The lane is full, and no replica is there. One comes again and again, while the server dies or is stopped at any moment: it is
// never refused.
void refused() {
  DurableLog at(2, 1, true);
  Attached replica(*at.log.server.region, "replica", false, false);
  at.publisher.program.ahead([&] {
    for (uint64_t i = 0; i < 8; i += 1) at.publishing->publish(i, nullptr);
  });
  at.log.server.program.ahead([&] { at.log.serving->settle(); });
  at.log.runs();
  replica.program.runs([attach = at.replicating(replica.region, 0)] {
    for (int i = 0; i < 4; i += 1) {
      const auto replicating = attach();
      Scheduler::now().giveWay(pauseNanos);
      replicating->reader().detach();
      Scheduler::now().giveWay(pauseNanos);
    }
  });
}

// A replica leaves, and a subscriber has its place, and reads what the replica never had: none of it becomes durable.
void place() {
  constexpr uint64_t batches = 3;
  DurableLog at(1);
  Attached replica(*at.log.server.region, "replica", true);
  Attached reader(*at.log.server.region, "reader", false, false);
  const auto replicating = at.replicates(replica, 0);
  const auto left = make_shared<bool>(false);
  at.log.runs();
  at.publishes(batches, [] { return true; });
  replica.program.runs([=, sleeper = replica.sleeper] {
    replicating->syncUntil(1, *sleeper, [] { return false; });
    replicating->reader().detach();
    *left = true;
  });
  reader.program.runs([=, region = reader.region, topic = at.log.topic, process = &replica.program.process()] {
    Claim claim;
    retry("the place of a replica that is gone does not come free",
          [&] { return claimReader(*region, topic, "reader", claim).ok() || (!*left && process->alive && process->stopped); });
    if (claim.generation == 0) return;
    Subscribing subscribing(region, claim);
    if (!subscribing.attach(From::end)) return;
    for (int i = 0; i < 4; i += 1) {
      subscribing.take();
      Scheduler::now().giveWay(pauseNanos);
    }
  });
  Attached watcher(*at.log.server.region, "watcher", false, false);
  watcher.program.runs([region = watcher.region, disks = at.disks] {
    for (int i = 0; i < 6; i += 1) {
      expect(durabilityOf(*region, 0).entries.value_or(0) <= onDisks(disks, 1), "what is on too few disks is said to be durable");
      Scheduler::now().giveWay(pauseNanos);
    }
  });
}

// The same while another replica stays: what the first one left in the place holds up nothing.
void seat() {
  constexpr uint64_t batches = 3;
  DurableLog at(2);
  at.disks.push_back(make_shared<Disk>());
  Attached replica(*at.log.server.region, "replica", true, false);
  Attached other(*at.log.server.region, "other", true, false);
  Attached reader(*at.log.server.region, "reader", false, false);
  const auto leaving = at.replicates(replica, 0);
  const auto staying = at.replicates(other, 1);
  at.log.runs();
  at.publishes(batches);
  replica.program.runs([=, sleeper = replica.sleeper] {
    leaving->syncUntil(1, *sleeper, [] { return false; });
    leaving->reader().detach();
  });
  other.program.runs([=, sleeper = other.sleeper] { staying->syncUntil(batches, *sleeper, [] { return false; }); });
  reader.program.runs([=, region = reader.region, topic = at.log.topic] {
    Claim claim;
    retry("the place of a replica that is gone does not come free", [&] { return claimReader(*region, topic, "reader", claim).ok(); });
    const auto subscribing = make_shared<Subscribing>(region, claim);
    atEnd([subscribing] {});
    retry("a subscriber is not attached", [&] { return subscribing->attach(From::end); });
    for (int i = 0; i < 4; i += 1) {
      subscribing->take();
      Scheduler::now().giveWay(pauseNanos);
    }
  });
}

}  // namespace

Protocol replicasProtocol() {
  Protocol protocol{"replicas", "durable topics: what the processes of replicas have synced", {
    {"synced", "two batches: published, synced, acknowledged as durable, and then read", &synced},
    {"heir", "the process of a replica dies at any moment, and the next one goes on with its disk", &heir},
    {"copies", "the same where two disks are required", &copies},
    {"told", "the same, and the server says it: each replica says that one is enough", &told},
    {"room", "the same with more batches than the lane has slots", &room},
    {"back", "a replica comes, leaves and comes back while the oldest batches go", &back},
    {"refused", "a replica comes to a full lane again and again while the server dies or is stopped", &refused},
    {"place", "a replica leaves, and a subscriber has its place", &place},
    {"seat", "the same while another replica stays, which has all that is published", &seat},
  }};
  for (const Configuration& each : replicasRest()) protocol.configurations.push_back(each);
  return protocol;
}

}  // namespace ringfence::explore
