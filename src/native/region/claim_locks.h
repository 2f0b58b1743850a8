// Locks of claims: one for each slot of each table, and one for giving new names. All are tried without waiting, so
// that a process that is stopped while it holds one blocks only that slot, or only new names. The system frees the
// locks of a dead process.
#pragma once

#include "region.h"
#include "roles.h"

namespace ringfence {

enum class Table : uint32_t { sessions = 0, readers = 1, rings = 2, ringReaders = 3, cursors = 4 };

class ClaimLock {
 public:
  static ClaimLock ofNames(const Region& region);
  static ClaimLock ofSlot(const Region& region, Table table, uint64_t slot);
  ~ClaimLock();
  ClaimLock(const ClaimLock&) = delete;
  ClaimLock& operator=(const ClaimLock&) = delete;

  bool held() const { return held_; }
  // What the lock allows to write, once it is held.
  role::Claimant claimant() const { return role::Claimant(); }
  role::NameGiver nameGiver() const { return role::NameGiver(); }

 private:
  ClaimLock(const Region& region, off_t at);
  Settled say(uint64_t state) const;

  const Region& region_;
  const off_t at_;
  const bool held_;
};

// True while another process claims that slot.
bool slotLocked(const Region& region, Table table, uint64_t slot);

// `busy`, naming the process that holds the lock if it is known.
Status namesBusy(const Region& region);
Status slotBusy(const Region& region, Table table, uint64_t slot);

// Takes the first free slot of [first, first + count), checked again under its lock: calls `take` with its number and
// the right to write it, under the lock. False when there is none; `busy` is then the last slot whose lock another process held, or `first +
// count`.
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
    take(static_cast<uint32_t>(slot - first), lock.claimant());
    return true;
  }
  return false;
}

}  // namespace ringfence
