// What keeps a region in use: its holders and the sequencer's lease. The last owner removes its name.
#include <sys/stat.h>
#include <unistd.h>

#include "byte_lock.h"
#include "ownership.h"
#include "planted.h"
#include "region.h"

namespace ringfence {

bool inUse(int fd) {
  if (lockHeld(fd, leaseLock) || lockHeld(fd, holdLock)) return true;
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
    unlink(path.c_str());
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

// The last holder removes the name. Each releases its shared lock before it tries the exclusive one, so that one of two
// that leave together gets it. Leave the name to a process that has just taken the lease: it holds the region next, and
// needs the name then (Sequencer::start). If it dies before that, removeDead() removes what is left.
void Region::removeName() {
  unlock(fd_, holdLock, publication_.settle());
  if (tryLock(fd_, holdLock) && !lockHeld(fd_, leaseLock) && named()) removeRegion(fd_, backing_, path_);
  unlock(fd_, holdLock, publication_.settle());
}

bool Region::kept() const {
  if (fd_ < 0) return false;
  if (owner_ || leased_ || slot_ == creatorSlot) return true;
  return lockHeld(fd_, processLocks + creatorSlot) || lockHeld(fd_, holdLock) || lockHeld(fd_, leaseLock);
}

bool Region::tryLockLease() {
  leased_ = leased_ || (fd_ >= 0 && tryLock(fd_, leaseLock));
  return leased_;
}

void Region::unlockLease() {
  if (fd_ >= 0) unlock(fd_, leaseLock, publication_.settle());
  leased_ = false;
}

}  // namespace ringfence
