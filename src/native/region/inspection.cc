#include "inspection.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "byte_lock.h"
#include "epochs.h"
#include "ownership.h"
#include "region_file.h"
#include "server.h"

namespace ringfence {

namespace {

bool hasMagic(int fd, const Backing& backing) {
  uint64_t magic = 0;
  if (!backing.isDevice()) return pread(fd, &magic, sizeof(magic), 0) == static_cast<ssize_t>(sizeof(magic)) && magic == regionMagic;
  const DeviceHeader header(fd, backing);
  return header.get() != nullptr && ofAnyRegion().observe<&Identity::magic>(header.get()->identity) == regionMagic;
}

// Whether the region has a log that another process can continue.
bool logToContinue(const std::string& path) {
  std::shared_ptr<Region> region;
  return Region::look(path, region).ok() && logRecoverable(headsOf(*region));
}

void lookAtLog(const std::string& path, Inspection& found) {
  std::shared_ptr<Region> region;
  if (!Region::look(path, region).ok()) return;
  const ServerView server = serverOf(*region);
  found.served = server.state == serverServing || server.state == serverRecovering;
  found.recoverable = server.recoverable && !found.served;
  if (server.epoch != 0) found.server = server.pid;
}

}  // namespace

Inspection inspect(const std::string& path) {
  Inspection found;
  found.temporary = isTemporary(path);
  found.bell = bellFileAt(path);
  if (found.bell != BellFile::none) {
    found.fault = "notRegion";
    found.detail = found.bell == BellFile::ofRegion ? "it is a doorbell of a process of its region" : "it is a doorbell whose region is gone";
    return found;
  }
  struct stat file{};
  int fd = -1;
  HeaderCopy header{};
  Status status = openExisting(path, true, fd, file);
  Backing backing;
  if (fd >= 0) {
    if (status.ok()) status = Backing::of(fd, backing);
    found.bytes = backing.isDevice() ? backing.freeBytes : static_cast<uint64_t>(file.st_size);
    if (status.ok()) status = readHeader(fd, found.bytes, backing, header);
    if (status.ok()) status = ofThisHost(header);
  }
  found.region = status.ok();
  found.fault = status.ok() ? "" : status.fault;
  found.detail = status.detail;
  if (found.region) {
    found.creator = seenFromHere(header.birth.creatorPid, header.birth.creatorPidNamespace);
    found.createdMillis = header.birth.createdMillis;
    found.geometry = header.geometry;
    for (uint32_t i = 0; i < header.geometry.processes; i += 1) {
      if (lockHeld(fd, processLocks + i)) found.attached += 1;
    }
    lookAtLog(path, found);
    found.held = lockHeld(fd, holdLock);
  } else if (fd >= 0 && lockHeld(fd, processLocks)) {
    found.attached = 1;
  }
  if (fd >= 0) close(fd);
  return found;
}

namespace {

// One that its region's processes may be rung by stays: it goes with the region's name.
Status removeFifo(const std::string& path, BellFile file) {
  if (file == BellFile::ofRegion) return Status::failed("busy", "its region is there");
  struct stat mine{};
  if (lstat(path.c_str(), &mine) == 0 && mine.st_uid != geteuid()) {
    return Status::failed("notPermitted", "it belongs to user " + std::to_string(mine.st_uid) + ", and only that user may remove it");
  }
  unlink(path.c_str());
  return Status::fine();
}

}  // namespace

Status removeDead(const std::string& path, bool discard) {
  const BellFile bell = bellFileAt(path);
  if (bell != BellFile::none) return removeFifo(path, bell);
  const int fd = openRegionFile(path);
  if (fd < 0) {
    const Status status = openFailed(path);
    return std::strcmp(status.fault, "missing") == 0 ? Status::fine() : status;
  }
  struct stat mine{};
  fstat(fd, &mine);
  Backing backing;
  Status status = Backing::of(fd, backing);
  const bool regular = S_ISREG(mine.st_mode) || backing.isDevice();
  if (!status.ok()) {
    // A device that is not memory.
  } else if (mine.st_uid != geteuid()) {
    status = Status::failed("notPermitted", "it belongs to user " + std::to_string(mine.st_uid) + ", and only that user may remove it");
  } else if (!regular || (!isTemporary(path) && !hasMagic(fd, backing))) {
    status = Status::failed("notRegion", "it is not a ringfence region, so it is left alone");
  } else if (!tryLock(fd, processLocks + creatorSlot)) {
    status = Status::failed("busy", "the process that created it is alive");
  } else if (backing.isDevice() && inUse(fd)) {
    // Attached clients keep a file after its name is removed. On a device they would write into the next region.
    status = Status::failed("busy", "processes are attached to it");
  } else if (serves(fd)) {
    // A server other than the creator. Clients do not count: those of a dead server are about to learn of its death.
    status = Status::failed("busy", "the process that serves it is alive");
  } else if (!tryLock(fd, holdLock)) {
    status = Status::failed("busy", "a process that keeps it in use is alive");
  } else if (!discard && logToContinue(path)) {
    status = Status::failed("recoverable", "its log can be continued");
  } else {
    struct stat now{};
    const bool same = stat(path.c_str(), &now) == 0 && now.st_dev == mine.st_dev && now.st_ino == mine.st_ino;
    if (same) removeRegion(fd, backing, path);
  }
  close(fd);
  return status;
}

}  // namespace ringfence
