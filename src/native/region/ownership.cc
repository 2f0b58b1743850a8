// Who keeps a region in use: its holds, the sequencer's lease, and the name that goes with the last owner.
#include <sys/stat.h>
#include <unistd.h>

#include "byte_lock.h"
#include "region.h"

namespace ringfence {

bool Region::named() const {
  struct stat file{};
  return stat(path_.c_str(), &file) == 0 && file.st_dev == device_ && file.st_ino == inode_;
}

// Looked at behind the lock: no owner removes the name from then on, but one may have done so before.
Status Region::hold() {
  if (fd_ < 0) return Status::failed("closed", "the region is closed");
  if (path_.empty() || owner_) return Status::fine();
  if (!tryShare(fd_, holdLock)) return Status::failed("busy", "the region is being removed");
  if (!named()) {
    unlock(fd_, holdLock);
    return Status::failed("missing", "its name is gone: the last process that owned it has closed it");
  }
  owner_ = true;
  return Status::fine();
}

// The name goes with the last of those who hold the region. Each gives up its share before it asks for the lock alone,
// so that one of two who leave together gets it. A process that has just taken the lease keeps the name: it holds the
// region next, and finds it so (Sequencer::start). Dead before that, it leaves what removeDead() removes.
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
