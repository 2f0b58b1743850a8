#include "claim_locks.h"

#include "byte_lock.h"

namespace ringfence {

namespace {

constexpr uint64_t states = 4;  // more than a ClaimState needs

off_t lockOf(Table table, uint64_t slot) {
  return slotLocks + static_cast<off_t>(table) * slotLocksOfTable + static_cast<off_t>(slot);
}

uint64_t wordOf(off_t at, uint64_t state) {
  return state == claimNone ? 0 : static_cast<uint64_t>(at - slotLocks + 1) * states + state;
}

const char* nameOf(Table table) {
  switch (table) {
    case Table::sessions:
      return "session slot ";
    case Table::readers:
      return "reader slot ";
    case Table::rings:
      return "ring ";
    case Table::cursors:
      return "cursor ";
    default:
      return "ring reader slot ";
  }
}

uint64_t stateOf(const ProcessOwner& owner, off_t at) {
  if (at == namesLock) return owner.naming;
  for (const uint64_t state : {uint64_t{claimWanted}, uint64_t{claimHeld}}) {
    if (owner.claiming == wordOf(at, state)) return state;
  }
  return claimNone;
}

// Names the living process that has declared itself the lock's holder; or else one that has declared that it wants the
// lock, as a process stopped right before or after holding it does.
std::string holderOf(const Region& region, off_t at) {
  std::string wants;
  for (uint32_t i = 0; i < region.layout().geometry.processes; i += 1) {
    const ProcessOwner owner = region.publication().snapshot<&ProcessOwner::generation>(region.process(i).owner);
    const uint64_t state = stateOf(owner, at);
    if (state == claimNone || i == region.slot() || !region.processAlive(i, owner.generation)) continue;
    const std::string name(owner.name, strnlen(owner.name, nameBytes));
    const ProcessPid pid = seenFromHere(owner.pid, owner.pidNamespace);
    const std::string found = "process \"" + name + "\" (pid " + std::to_string(pid.pid) +
                              (pid.foreign ? " of another pid namespace)" : ")");
    if (state == claimHeld) return found;
    wants = found;
  }
  return wants.empty() ? "another process" : wants;
}

}  // namespace

ClaimLock ClaimLock::ofNames(const Region& region) { return ClaimLock(region, namesLock); }

ClaimLock ClaimLock::ofSlot(const Region& region, Table table, uint64_t slot) {
  return ClaimLock(region, lockOf(table, slot));
}

// Declare the claim before taking the lock and until after releasing it, so that a process that finds the lock held can
// always name the holder.
ClaimLock::ClaimLock(const Region& region, off_t at)
    : region_(region), at_(at), held_((say(claimWanted), tryLock(region.file(), at))) {
  say(held_ ? claimHeld : claimNone);
}

ClaimLock::~ClaimLock() {
  if (!held_) return;
  unlock(region_.file(), at_, say(claimWanted));
  say(claimNone);
}

Settled ClaimLock::say(uint64_t state) const {
  const Publication& p = region_.publication();
  if (!region_.closed()) {
    auto& mine = region_.process(region_.slot()).owner;
    const role::Process self;
    if (at_ == namesLock) {
      p.on(self, mine).publish<&ProcessOwner::naming>(static_cast<uint32_t>(state));
    } else {
      p.on(self, mine).publish<&ProcessOwner::claiming>(wordOf(at_, state));
    }
  }
  return p.storeFence();
}

bool slotLocked(const Region& region, Table table, uint64_t slot) {
  return lockHeld(region.file(), lockOf(table, slot));
}

Status namesBusy(const Region& region) {
  return Status::failed("busy", holderOf(region, namesLock) + " is giving a new name to a topic, a cursor or a ring");
}

Status slotBusy(const Region& region, Table table, uint64_t slot) {
  return Status::failed("busy",
                        nameOf(table) + std::to_string(slot) + " is being taken by " + holderOf(region, lockOf(table, slot)));
}

}  // namespace ringfence
