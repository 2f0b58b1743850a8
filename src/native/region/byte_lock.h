// Locks on single bytes of a region's file, far beyond its contents, so that they never collide with an ordinary lock
// on the file. They belong to the open file description: the system frees them when the process ends, killed or
// not, and two attachments of one process exclude each other.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>

#include "line.h"

namespace ringfence {

constexpr off_t namesLock = off_t{1} << 40;
constexpr off_t processLocks = namesLock + 1;
// Held by the process that takes a log over, while it does so.
constexpr off_t electionLock = namesLock - 1;
// Shared by the processes that keep the region in use: its creator and those that hold it. The process that removes the
// name takes it exclusively.
constexpr off_t holdLock = namesLock - 2;
// One lock for each block: a process writes the block only while it holds this lock.
constexpr off_t blockLocks = namesLock - 64;
// One lock for each slot of a table, one range for each table.
constexpr off_t slotLocks = namesLock + (off_t{1} << 20);
constexpr off_t slotLocksOfTable = off_t{1} << 20;

inline struct flock byteLock(off_t at, short type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = at;
  lock.l_len = 1;
  return lock;
}

inline bool tryLock(int fd, off_t at) {
  struct flock lock = byteLock(at, F_WRLCK);
  return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

inline bool tryShare(int fd, off_t at) {
  struct flock lock = byteLock(at, F_RDLCK);
  return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

// The process that takes the lock next sees what was stored under it.
inline void unlock(int fd, off_t at, const Settled&) {
  struct flock lock = byteLock(at, F_UNLCK);
  fcntl(fd, F_OFD_SETLK, &lock);
}

inline bool lockHeld(int fd, off_t at) {
  struct flock lock = byteLock(at, F_WRLCK);
  return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace ringfence
