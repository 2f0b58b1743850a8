#include "stored_cursors.h"

#include "cursor_ends.h"
#include "explore/protocols/served.h"
#include "replica_ends.h"

namespace ringfence::explore {

namespace {

using namespace durable;
using std::make_shared;
using std::shared_ptr;

// A served durable topic, a holder, and the replica that stores what its cursor says.
struct StoredLog {
  size_t copies;
  Served log;
  Attached holding;
  shared_ptr<Said> said = make_shared<Said>();
  std::vector<shared_ptr<Disk>> disks;
  shared_ptr<bool> done = make_shared<bool>(false);  // all commits are stored

  explicit StoredLog(uint32_t readers, size_t copiesRequired = 1)
      : copies(copiesRequired), log(geometry(readers), false, orderSession, ackDurable), holding(*log.server.region, "holder", true, false) {
    for (size_t i = 0; i < copies; i += 1) disks.push_back(make_shared<Disk>());
  }
  static Geometry geometry(uint32_t readers) {
    Geometry g = logGeometry();
    g.readers = readers;
    g.processes = 8;
    return g;
  }

  // Attached at once, if it can be.
  std::function<shared_ptr<Replicating>()> replicating(const shared_ptr<Region>& at, size_t disk) const {
    return [=, own = disks[disk], role = ReplicaRole{disk + 1, copies}, topic = log.topic] {
      Claim claim;
      retry("a replica's place does not come free", [&] { return claimReader(*at, topic, "replica", claim).ok(); }, shortNanos);
      const auto replica = make_shared<Replicating>(at, claim, role, own);
      retry("a replica is not attached", [&] { return replica->attach().ok(); }, shortNanos);
      return replica;
    };
  }

  // Looks, writes what it has seen where a holder waits for it, and tells. False when there is nothing to tell.
  static bool stores(const Region& at, Replicating& replica, Disk& disk, uint64_t& toldMicros) {
    const CursorLook look = lookAtCursors(at);
    expect(look.damaged == 0, "a cursor counts as damaged");
    for (const CursorView& view : look.cursors) {
      if (view.wantedMicros == 0 || view.wantedMicros < toldMicros) continue;
      disk.cursor = std::max(disk.cursor, positionIn(view));
      Trace::say("has stored " + std::to_string(positionIn(view)));
      replica.reader().storedCursors(look.micros);
      toldMicros = look.micros;
      return true;
    }
    return false;
  }

  uint64_t onDisks() const {
    std::vector<uint64_t> positions;
    for (const auto& disk : disks) positions.push_back(disk->cursor);
    std::ranges::sort(positions, std::greater());
    return positions.at(copies - 1);
  }

  // Commits so often, and waits each time until it is stored.
  void commits(std::initializer_list<uint64_t> positions) {
    const auto holder = make_shared<Holder>(holding.region, log.topic, said);
    holding.program.ahead([&] { expectOk(holder->hold(request()), "taking a new cursor"); });
    holding.program.runs([=, *this, at = holding.region, all = std::vector(positions), sleeper = holding.sleeper] {
      for (const uint64_t position : all) {
        expectOk(holder->commit(position, true), "the holder's commit");
        const auto stored = [&] { return cursorsStored(*at, 0, holder->micros()); };
        sleeper->until(sleepsForData, "what is stored", stored, [&] { return onDisks() >= position && allTold(*at, holder->micros()); });
        expect(onDisks() >= position, "a commit is said to be stored that is not");
      }
      *done = true;
      at->wakeProcesses(sleepsForData);
    });
  }

  // By the newest stores.
  bool allTold(const Region& at, uint64_t micros) const {
    size_t told = 0;
    for (uint32_t i = 0; i < at.layout().geometry.readers; i += 1) {
      told += peek<&StoredLine::storedMicros>(at.reader(0, i).stored) > micros ? 1 : 0;
    }
    return told >= copies;
  }

  // Stores what is waited for, and sleeps until a holder waits or all is done.
  static void storesUntil(const bool& done, const shared_ptr<Region>& at, Replicating& replica, Disk& disk, Sleeper& sleeper) {
    for (uint64_t told = 0; !done;) {
      const auto look = [&] { return stores(*at, replica, disk, told) || done; };
      const auto there = [&] {
        const uint64_t micros = peek<&CursorSlot::Cursor::wantedMicros>(at->cursor(0).cursor);
        return micros != 0 && micros >= told;
      };
      sleeper.until(sleepsForData, "a commit", look, there);
    }
  }
};

// A holder waits until its commits are stored.
void stored() {
  StoredLog at(1);
  Attached replica(*at.log.server.region, "replica", true, false);
  shared_ptr<Replicating> replicating;
  replica.program.ahead([&] { replicating = at.replicating(replica.region, 0)(); });
  at.commits({3, 7});
  at.log.runs();
  replica.program.runs([=, done = at.done, region = replica.region, disk = at.disks[0], sleeper = replica.sleeper] {
    StoredLog::storesUntil(*done, region, *replicating, *disk, *sleeper);
  });
}

// A replica stores at each look, whether a holder waits or not: what it looked at ahead of a commit does not count for it.
void storedEarly() {
  StoredLog at(1);
  Attached replica(*at.log.server.region, "replica", false, false);
  shared_ptr<Replicating> replicating;
  replica.program.ahead([&] { replicating = at.replicating(replica.region, 0)(); });
  at.commits({3, 7});
  at.log.runs();
  replica.program.runs([=, done = at.done, region = replica.region, disk = at.disks[0]] {
    while (!*done) {
      const CursorLook look = lookAtCursors(*region);
      for (const CursorView& view : look.cursors) disk->cursor = std::max(disk->cursor, positionIn(view));
      replicating->reader().storedCursors(look.micros);
      pauses();
    }
  });
}

// The same, and the replica's process dies at any moment: the next one goes on with its disk.
void storedByHeir(size_t copies) {
  StoredLog at(copies == 1 ? 2 : 3, copies);
  Attached first(*at.log.server.region, "replica");
  Attached next(*at.log.server.region, "next", false, false);
  shared_ptr<Replicating> replicating;
  first.program.ahead([&] { replicating = at.replicating(first.region, 0)(); });
  at.commits({3});
  at.log.runs();
  first.program.runs([=, done = at.done, region = first.region, disk = at.disks[0], sleeper = first.sleeper] {
    StoredLog::storesUntil(*done, region, *replicating, *disk, *sleeper);
  });
  next.program.runs([=, done = at.done, region = next.region, attach = at.replicating(next.region, 0), disk = at.disks[0], process = &first.program.process()] {
    while (process->alive && !*done) pauses();
    if (*done) return;
    const auto replica = attach();
    atEnd([replica] {});
    uint64_t known = 0;
    while (!*done) {
      StoredLog::stores(*region, *replica, *disk, known);
      pauses();
    }
  });
  if (copies == 1) return;
  Attached other(*at.log.server.region, "other", false, false);
  shared_ptr<Replicating> second;
  other.program.ahead([&] { second = at.replicating(other.region, 1)(); });
  other.program.runs([=, done = at.done, region = other.region, disk = at.disks[1]] {
    uint64_t known = 0;
    while (!*done) {
      StoredLog::stores(*region, *second, *disk, known);
      pauses();
    }
  });
}

void storedAnew() { storedByHeir(1); }
void storedTwice() { storedByHeir(2); }

}  // namespace

std::vector<Configuration> storedCursors() {
  return {
    {"stored", "a holder waits until a replica has stored what it commits", &stored},
    {"stored early", "the same where the replica does not wait for a holder that waits", &storedEarly},
    {"stored anew", "a holder waits while the replica's process dies, and the next one goes on with its disk", &storedAnew},
    {"stored twice", "the same where two disks are required", &storedTwice},
  };
}

}  // namespace ringfence::explore
