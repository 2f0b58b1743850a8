// What keeps a region in use: its holders and the sequencer's lease. The last owner removes its name.
#include <sys/stat.h>
#include <unistd.h>

#include "byte_lock.h"
#include "planted.h"
#include "region.h"

namespace ringfence {

bool Region::named() const {
  struct stat file{};
  return stat(path_.c_str(), &file) == 0 && file.st_dev == device_ && file.st_ino == inode_;
}

// Checks the name after taking the lock: from then on no owner removes it, but one may have done so before.
Status Region::hold() {
  if (fd_ < 0) return Status::failed("closed", "the region is closed");
  if (path_.empty() || owner_) return Status::fine();
  if (!tryShare(fd_, holdLock)) return Status::failed("busy", "the region is being removed");
  if (!named() && !planted("hold of a removed name")) {
    unlock(fd_, holdLock);
    return Status::failed("missing", "its name is gone: the last process that owned it has closed it");
  }
  owner_ = true;
  return Status::fine();
}

// The last holder removes the name. Each releases its shared lock before it tries the exclusive one, so that one of two
// that leave together gets it. Leave the name to a process that has just taken the lease: it holds the region next, and
// needs the name then (Sequencer::start). If it dies before that, removeDead() removes what is left.
void Region::removeName() {
  unlock(fd_, holdLock);
  if (tryLock(fd_, holdLock) && !lockHeld(fd_, leaseLock) && named()) unlink(path_.c_str());
  unlock(fd_, holdLock);
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
  if (fd_ >= 0) unlock(fd_, leaseLock);
  leased_ = false;
}

}  // namespace ringfence
