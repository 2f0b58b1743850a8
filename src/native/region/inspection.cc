#include "inspection.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "byte_lock.h"
#include "region_file.h"

namespace ringfence {

Inspection inspect(const std::string& path) {
  Inspection found;
  found.temporary = isTemporary(path);
  struct stat file{};
  int fd = -1;
  Header header{};
  Status status = openExisting(path, true, fd, file);
  if (fd >= 0) {
    found.bytes = static_cast<uint64_t>(file.st_size);
    if (status.ok()) status = readHeader(fd, found.bytes, header);
  }
  found.region = status.ok();
  found.fault = status.ok() ? "" : status.fault;
  found.detail = status.detail;
  if (found.region) {
    found.creator = seenFromHere(header.birth.creatorPid, header.birth.creatorPidNamespace);
    found.createdMillis = header.birth.createdMillis;
    found.geometry = header.geometry.geometry;
    for (uint32_t i = 0; i < header.geometry.geometry.processes; i += 1) {
      if (lockHeld(fd, processLocks + i)) found.attached += 1;
    }
    found.served = header.control.state == servingActive && lockHeld(fd, leaseLock);
    found.held = lockHeld(fd, holdLock);
  } else if (fd >= 0 && lockHeld(fd, processLocks)) {
    found.attached = 1;
  }
  if (fd >= 0) close(fd);
  return found;
}

Status removeDead(const std::string& path) {
  const int fd = openRegionFile(path);
  if (fd < 0) {
    const Status status = openFailed(path);
    return std::strcmp(status.fault, "missing") == 0 ? Status::fine() : status;
  }
  struct stat mine{};
  fstat(fd, &mine);
  uint64_t magic = 0;
  const bool read = pread(fd, &magic, sizeof(magic), 0) == static_cast<ssize_t>(sizeof(magic));
  Status status = Status::fine();
  if (mine.st_uid != geteuid()) {
    status = Status::failed("notPermitted", "it belongs to user " + std::to_string(mine.st_uid) + ", and only that user may remove it");
  } else if (!S_ISREG(mine.st_mode) || (!isTemporary(path) && (!read || magic != regionMagic))) {
    status = Status::failed("notRegion", "it is not a ringfence region, so it is left alone");
  } else if (!tryLock(fd, processLocks + creatorSlot)) {
    status = Status::failed("busy", "the process that created it is alive");
  } else if (lockHeld(fd, leaseLock)) {
    // A server other than the creator. Clients do not count: those of a dead server are about to learn of its death.
    status = Status::failed("busy", "the process that serves it is alive");
  } else if (!tryLock(fd, holdLock)) {
    status = Status::failed("busy", "a process that keeps it in use is alive");
  } else {
    struct stat now{};
    if (stat(path.c_str(), &now) == 0 && now.st_dev == mine.st_dev && now.st_ino == mine.st_ino) unlink(path.c_str());
  }
  close(fd);
  return status;
}

}  // namespace ringfence
