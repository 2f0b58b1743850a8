// What keeps a region in use: its holders, and the process that serves its log. The last owner removes its name.
#include <sys/stat.h>
#include <unistd.h>

#include "byte_lock.h"
#include "ownership.h"
#include "planted.h"
#include "region.h"

namespace ringfence {

bool serves(int fd) {
  if (lockHeld(fd, electionLock)) return true;
  for (uint32_t block = 0; block < epochBlocksMax; block += 1) {
    if (lockHeld(fd, blockLocks + block)) return true;
  }
  return false;
}

bool inUse(int fd) {
  if (serves(fd) || lockHeld(fd, holdLock)) return true;
  for (uint32_t slot = creatorSlot; slot < processesMax; slot += 1) {
    if (lockHeld(fd, processLocks + slot)) return true;
  }
  return false;
}

// SYNC: on a device it is asked behind the lock of this process's slot: see Region::takeDevice.
bool Region::named() const {
  struct stat file{};
  if (stat(path_.c_str(), &file) != 0 || file.st_dev != device_ || file.st_ino != inode_) return false;
  if (!backing_.isDevice()) return true;
  const DeviceHeader there(fd_, backing_);
  if (there.get() == nullptr) return false;
  const Fenced fenced = ofAnyRegion().fullFence();
  const Identity identity = ofAnyRegion().snapshotBehind<&Identity::magic>(fenced, there.get()->identity);
  return identity.magic == regionMagic && idIs(identity.regionId);
}

void removeRegion(int fd, const Backing& backing, const std::string& path) {
  if (!backing.isDevice()) {
    const uint64_t mark = markAt(fd);
    // First the name: a process that makes its FIFO now looks for the name behind that (openOwnFifo).
    unlink(path.c_str());
    if (mark != 0) removeFifosOf(path, mark);
    return;
  }
  const DeviceHeader header(fd, backing);
  if (header.get() != nullptr) header.clear();
}

// Checks the name after taking the lock: from then on no owner removes it, but one may have done so before.
Status Region::hold() {
  if (fd_ < 0) return Status::failed("closed", "the region is closed");
  if (path_.empty() || owner_) return Status::fine();
  if (!tryShare(fd_, holdLock)) return Status::failed("busy", "the region is being removed");
  if (!named() && !planted("hold of a removed name")) {
    unlock(fd_, holdLock, publication_.settle());
    return Status::failed("missing", "its name is gone: the last process that owned it has closed it");
  }
  owner_ = true;
  return Status::fine();
}

// The last holder removes the name, unless the log can be continued. Each releases its shared lock before it tries the
// exclusive one, so that one of two that leave together gets it. Leave the name to a process that takes a log over or has
// a block: it holds the region next, and needs the name then (Sequencer::start). If it dies before that, removeDead()
// removes what is left.
void Region::removeName(bool recoverable) {
  unlock(fd_, holdLock, publication_.settle());
  if (recoverable) return;
  if (tryLock(fd_, holdLock) && !othersServe() && named()) removeRegion(fd_, backing_, path_);
  unlock(fd_, holdLock, publication_.settle());
}

bool Region::kept() const {
  if (fd_ < 0) return false;
  if (owner_ || lockedBlock_ >= 0 || elected_ || slot_ == creatorSlot) return true;
  return lockHeld(fd_, processLocks + creatorSlot) || lockHeld(fd_, holdLock) || othersServe();
}

bool Region::tryLockBlock(uint64_t block) {
  if (fd_ < 0 || lockedBlock_ >= 0 || !tryLock(fd_, blockLocks + static_cast<off_t>(block))) return false;
  lockedBlock_ = static_cast<int64_t>(block);
  return true;
}

void Region::unlockBlock() {
  if (fd_ >= 0 && lockedBlock_ >= 0) unlock(fd_, blockLocks + lockedBlock_, publication_.settle());
  lockedBlock_ = -1;
}

bool Region::blockHeld(uint64_t block) const {
  return fd_ >= 0 && (lockedBlock_ == static_cast<int64_t>(block) || lockHeld(fd_, blockLocks + static_cast<off_t>(block)));
}

bool Region::tryLockElection() {
  elected_ = elected_ || (fd_ >= 0 && tryLock(fd_, electionLock));
  return elected_;
}

void Region::unlockElection() {
  if (fd_ >= 0 && elected_) unlock(fd_, electionLock, publication_.settle());
  elected_ = false;
}

bool Region::othersServe() const {
  if (lockHeld(fd_, electionLock)) return true;
  for (uint32_t block = 0; block < layout_.geometry.epochBlocks; block += 1) {
    if (lockHeld(fd_, blockLocks + block)) return true;
  }
  return false;
}

}  // namespace ringfence
