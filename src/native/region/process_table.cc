#include "process_table.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "byte_lock.h"
#include "quantities.h"
#include "region.h"

namespace ringfence {

namespace {

void copyName(char* to, size_t bytes, const std::string& name) {
  std::memset(to, 0, bytes);
  std::memcpy(to, name.data(), name.size() < bytes ? name.size() : bytes - 1);
}

}  // namespace

uint64_t ownPidNamespace() {
  struct stat own{};
  return stat("/proc/self/ns/pid", &own) == 0 ? static_cast<uint64_t>(own.st_ino) : 0;
}

ProcessPid seenFromHere(uint32_t pid, uint64_t pidNamespace) {
  static const uint64_t own = ownPidNamespace();
  return {pid, pidNamespace != 0 && own != 0 && pidNamespace != own};
}

// SYNC: the slot's lines are written by the holder of its byte lock alone; `generation` is published last and pairs
// with the observe in processes().
Status Region::takeProcessSlot(const std::string& name, uint32_t first) {
  for (uint32_t i = first; i < layout_.geometry.processes; i += 1) {
    if (!tryLock(fd_, processLocks + i)) continue;
    ProcessOwner owner = publication_.copy(process(i).owner);
    slot_ = i;
    generation_ = owner.generation + 1 == 0 ? 1 : owner.generation + 1;
    owner.pid = static_cast<uint32_t>(getpid());
    owner.pidNamespace = ownPidNamespace();
    owner.naming = claimNone;
    owner.claiming = claimNone;
    copyName(owner.name, nameBytes, name);
    sleepFor(awake);
    polls(0);
    endLook();
    const role::Process self;
    publication_.on(self, process(i).owner).all(owner).publish<&ProcessOwner::generation>(generation_);
    return Status::fine();
  }
  return Status::failed("full", "all " + formatCount(layout_.geometry.processes) + " process slots are taken");
}

bool Region::processAlive(uint32_t slot, uint64_t generation) const {
  if (fd_ < 0 || slot >= layout_.geometry.processes) return false;
  if (publication_.observe<&ProcessOwner::generation>(process(slot).owner) != generation) return false;
  return slot == slot_ || lockHeld(fd_, processLocks + slot);
}

std::vector<ProcessView> Region::processes() const {
  std::vector<ProcessView> views;
  if (fd_ < 0) return views;
  for (uint32_t i = 0; i < layout_.geometry.processes; i += 1) {
    const ProcessOwner owner = publication_.snapshot<&ProcessOwner::generation>(process(i).owner);
    if (owner.generation == 0) continue;
    ProcessView view{i, owner.generation, seenFromHere(owner.pid, owner.pidNamespace),
                     processAlive(i, owner.generation), {}};
    view.name.assign(owner.name, strnlen(owner.name, nameBytes));
    views.push_back(std::move(view));
  }
  return views;
}

ProcessPid Region::pidOf(uint64_t slot) const {
  if (slot >= layout_.geometry.processes) return {};
  const ProcessOwner owner = publication_.copy(process(slot).owner);
  return seenFromHere(owner.pid, owner.pidNamespace);
}

}  // namespace ringfence
