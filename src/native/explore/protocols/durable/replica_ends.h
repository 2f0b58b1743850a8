// The ends of a durable topic, over simulated memory: the processes that write replicas, whose disks outlive them, and a
// publisher that waits until its batches are on disks.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "explore/protocols/log_ends.h"
#include "log/replicas.h"

namespace ringfence::explore::durable {

// What is on the disk of one replica, whichever process writes it.
struct Disk {
  uint64_t entries = 0;
  uint64_t messages = 0;
  uint64_t cursor = 0;  // what the topic's cursor said, by the last look that was stored
};

// The entries that all of so many disks have.
uint64_t onDisks(const std::vector<std::shared_ptr<Disk>>& disks, size_t copies);

// What the newest stores say, which not every actor may see yet: the entries on the disks of the required replicas.
uint64_t peekDurable(const Region& region);

// A process that writes one replica. One at a time does: it has the lock of the replica's files.
class Replicating {
 public:
  Replicating(std::shared_ptr<Region> region, Claim claim, ReplicaRole role, std::shared_ptr<Disk> disk)
      : region_(region), reader_(region, 0, claim, 4, {role, false}), disk_(std::move(disk)) {}

  IndexReader& reader() { return reader_; }
  // Goes on behind what the disk has.
  Status attach();
  // Writes and syncs what there is, and tells. False when there is nothing.
  bool sync();
  bool more() { return reader_.committed() > reader_.next(); }
  bool moreIsThere() const;
  // Until the disk has so many entries, or `ends` says so.
  void syncUntil(uint64_t entries, Sleeper& sleeper, const std::function<bool()>& ends);

 private:
  std::shared_ptr<Region> region_;
  IndexReader reader_;
  std::shared_ptr<Disk> disk_;
};

// How many batches of a publisher are durable, as DurableRecords counts them.
class Durable {
 public:
  explicit Durable(std::shared_ptr<Publishing> publishing) : publishing_(std::move(publishing)) {}

  uint64_t batches();
  void await(uint64_t batches, Sleeper& sleeper, const Region& region);

 private:
  struct Note {
    uint64_t batches;
    uint64_t entries;
  };

  std::shared_ptr<Publishing> publishing_;
  std::deque<Note> notes_;
  uint64_t noted_ = 0;
  uint64_t durable_ = 0;
};

}  // namespace ringfence::explore::durable
