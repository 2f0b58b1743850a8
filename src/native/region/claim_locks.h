// Locks of claims: each slot of each table has one of its own, and the giving of new names has one. All are tried
// without waiting, so that a process that is stopped with one in its hands holds up that slot, or new names, and
// nothing else; of a dead process the system frees them.
#pragma once

#include "region.h"

namespace ringfence {

enum class Table : uint32_t { sessions = 0, readers = 1, rings = 2, ringReaders = 3 };

class ClaimLock {
 public:
  static ClaimLock ofNames(const Region& region);
  static ClaimLock ofSlot(const Region& region, Table table, uint64_t slot);
  ~ClaimLock();
  ClaimLock(const ClaimLock&) = delete;
  ClaimLock& operator=(const ClaimLock&) = delete;

  bool held() const { return held_; }

 private:
  ClaimLock(const Region& region, off_t at);
  void say(uint64_t state) const;

  const Region& region_;
  const off_t at_;
  const bool held_;
};

// `busy`, and which process holds the lock, as far as that can be told.
Status namesBusy(const Region& region);
Status slotBusy(const Region& region, Table table, uint64_t slot);

// Takes the first of the slots [first, first + count) that is free, and was free still when its lock was had. `take` is
// called with the slot's number, under its lock. False when there is none; then `busy` is the slot of the last lock that
// another process held, or `first + count`.
template <class Free, class Take>
bool claimSlot(const Region& region, Table table, uint64_t first, uint64_t count, uint64_t& busy, Free free, Take take) {
  busy = first + count;
  for (uint64_t slot = first; slot < first + count; slot += 1) {
    if (!free(static_cast<uint32_t>(slot - first))) continue;
    const ClaimLock lock = ClaimLock::ofSlot(region, table, slot);
    if (!lock.held()) {
      busy = slot;
      continue;
    }
    if (!free(static_cast<uint32_t>(slot - first))) continue;
    take(static_cast<uint32_t>(slot - first));
    return true;
  }
  return false;
}

}  // namespace ringfence
