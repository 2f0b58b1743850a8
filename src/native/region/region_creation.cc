// The creation of a region: its file under a temporary name, its memory, its identity, and last its name.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "byte_lock.h"
#include "flush.h"
#include "futex.h"
#include "ownership.h"
#include "region.h"
#include "region_file.h"
#include "token.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

namespace ringfence {

namespace {

void randomId(uint64_t id[2]) {
  id[0] = id[1] = 0;
  const int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (read(fd, id, 16) != 16) id[0] = wallNanos();
    close(fd);
  }
  if (id[0] == 0 && id[1] == 0) id[0] = wallNanos() ^ static_cast<uint64_t>(getpid());
}

bool cancelled(const CreateProgress* progress) {
  return progress != nullptr && progress->cancelled.load(std::memory_order_relaxed);
}

Status noSpace(uint64_t wantedBytes, uint64_t freeBytes) {
  Status status = Status::failed("noSpace", "there is not enough room for it");
  status.wantedBytes = wantedBytes;
  status.freeBytes = freeBytes;
  return status;
}

// Memory is allocated in steps, so that the creation of a large region can be cancelled.
constexpr uint64_t stepBytes = 16U << 20;

Status reserve(int fd, uint64_t bytes, const CreateProgress* progress) {
  struct statvfs volume{};
  const auto freeBytes = [&volume] { return static_cast<uint64_t>(volume.f_bavail) * volume.f_frsize; };
  // Some file systems report no size; there only the allocation tells.
  if (fstatvfs(fd, &volume) == 0 && volume.f_blocks != 0 && freeBytes() < bytes) return noSpace(bytes, freeBytes());
  for (uint64_t done = 0; done < bytes && !cancelled(progress); done += stepBytes) {
    const uint64_t count = bytes - done < stepBytes ? bytes - done : stepBytes;
    int error;
    do {
      error = posix_fallocate(fd, static_cast<off_t>(done), static_cast<off_t>(count));
    } while (error == EINTR);
    if (error == 0) continue;
    errno = error;
    if (error != ENOSPC && error != EFBIG && error != ENOMEM) return Status::failed("system", systemError("allocating the region"));
    return noSpace(bytes, fstatvfs(fd, &volume) == 0 ? freeBytes() + done : 0);
  }
  return Status::fine();
}

#ifndef MPOL_BIND
#define MPOL_BIND 2
#endif

// Pages of the file that are allocated from now on lie on that node, also when a process of another node touches them first.
Status bindTo(int32_t node, uint8_t* base, uint64_t bytes) {
  constexpr int32_t nodesMax = 1024;
  uint64_t mask[nodesMax / 64 + 1] = {};
  const std::string name = "NUMA node " + std::to_string(node);
  if (node >= nodesMax) return Status::failed("invalid", "there is no " + name);
  mask[node / 64] |= uint64_t{1} << (node % 64);
  if (syscall(SYS_mbind, base, bytes, MPOL_BIND, mask, nodesMax + 1, 0) == 0) return Status::fine();
  if (errno == EINVAL) return Status::failed("invalid", "there is no " + name + " that has memory for this process");
  if (errno == ENOSYS) return Status::failed("unsupported", "this system knows no NUMA nodes");
  if (errno == EPERM) return Status::failed("notPermitted", "this process may not choose a NUMA node");
  return Status::failed("system", systemError(("binding to " + name).c_str()));
}

// Names the file, unless a file has that name: from here on other processes may read what was stored in it.
bool nameFile(const std::string& from, const std::string& to, const Settled&) {
  return syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0;
}

Status deviceHasNode() {
  Status status = Status::failed("invalid", "a device's memory belongs to a NUMA node already, and is bound to no other");
  status.hint = "choose no NUMA node for it";
  return status;
}

void prefault(uint8_t* base, uint64_t bytes, CreateProgress* progress) {
  for (uint64_t done = 0; done < bytes && !cancelled(progress);) {
    const uint64_t count = bytes - done < stepBytes ? bytes - done : stepBytes;
    if (madvise(base + done, count, MADV_POPULATE_WRITE) != 0) {
      // On older kernels, touch each page by writing back its contents.
      for (uint64_t page = 0; page < count; page += pageBytes) {
        volatile uint8_t* touched = base + done + page;
        *touched = *touched;
      }
    }
    done += count;
    if (progress != nullptr) progress->faultedBytes.store(done, std::memory_order_relaxed);
  }
}

}  // namespace

Status Region::create(const CreateOptions& options, CreateProgress* progress, std::shared_ptr<Region>& out) {
  if (!geometryValid(options.geometry)) return Status::failed("invalid", "the sizes are outside their limits");
  if (options.coherence == Coherence::flushed && memory::flushInstructions() == nullptr) return cannotFlush();
  std::shared_ptr<Region> region(new Region());
  region->layout_ = layoutOf(options.geometry);
  region->path_ = absolute(options.path);
  region->publication_ = Publication(options.coherence);
  region->owner_ = true;
  const bool anonymous = options.path.empty();
  std::string temporary;
  Backing there;
  Status status = anonymous ? Status::fine() : Backing::at(options.path, there);
  if (!status.ok()) return status;
  if (there.isDevice()) {
    // Binding chooses where new pages lie, and a device's memory is there already.
    if (options.numaNode >= 0) return deviceHasNode();
    status = region->takeDevice();
  } else if (anonymous) {
    region->fd_ = memfd_create("ringfence", MFD_CLOEXEC);
    if (region->fd_ < 0) status = Status::failed("system", systemError("creating the region"));
  } else {
    // Fail early, before memory is allocated; the rename below decides.
    if (access(options.path.c_str(), F_OK) == 0) return Status::failed("exists", "a region of this name exists already");
    removeAbandoned(options.path);
    removeAbandonedFifos(absolute(options.path));
    status = region->makeFile(options, temporary);
  }
  if (status.ok()) status = region->fill(options, progress);
  if (status.ok() && !temporary.empty()) status = region->publishFile(temporary);
  if (status.ok()) {
    out = std::move(region);
  } else if (!temporary.empty()) {
    unlink(temporary.c_str());
  }
  return status;
}

// Makes a file of the region's size under a temporary name, and locks it. Makes it again if another process took it for
// a dead creator's, before it was locked, and removed it.
Status Region::makeFile(const CreateOptions& options, std::string& temporary) {
  constexpr int attempts = 16;
  for (int attempt = 0; attempt < attempts; attempt += 1) {
    uint64_t id[2];
    randomId(id);
    char mark[32];
    std::snprintf(mark, sizeof(mark), "%08llx", static_cast<unsigned long long>(id[0] & 0xffffffffULL));
    temporary = options.path + temporaryMark + mark;
    fd_ = open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd_ < 0) return Status::failed("system", systemError("creating the region"));
    struct stat file{};
    const bool mine = tryLock(fd_, processLocks + creatorSlot) && tryShare(fd_, holdLock) && fstat(fd_, &file) == 0 &&
                      file.st_nlink != 0;
    device_ = file.st_dev;
    inode_ = file.st_ino;
    if (mine) return Status::fine();
    unlink(temporary.c_str());
    ::close(fd_);
    fd_ = -1;
  }
  return Status::failed("busy", "another process is removing leftovers here");
}

// A device holds one region and gives it no name. The creator takes the device by the creator's lock, and only while no
// process is attached to the former region: that process would read and write the memory of the new one.
// SYNC: the creator clears the magic number before it checks the locks again; a client locks its slot before it checks the
// number again (Region::named). So at least one of the two sees the other.
Status Region::takeDevice() {
  fd_ = openRegionFile(path_);
  struct stat file{};
  if (fd_ < 0) return openFailed(path_);
  if (fstat(fd_, &file) != 0) return Status::failed("system", systemError("looking at the device"));
  device_ = file.st_dev;
  inode_ = file.st_ino;
  Status status = Backing::of(fd_, backing_);
  if (!status.ok()) return status;
  if (!tryLock(fd_, processLocks + creatorSlot)) return Status::failed("exists", "a region lies on this device already");
  const DeviceHeader header(fd_, backing_);
  if (header.get() == nullptr) return Status::failed("system", systemError("mapping the device"));
  if (!inUse(fd_)) {
    const Shown<uint64_t, Whole> before = header.clear();
    if (!inUse(fd_)) return tryShare(fd_, holdLock) ? Status::fine() : Status::failed("busy", "the region is being removed");
    // The former region goes on, unchanged.
    const role::Creator creator;
    ofAnyRegion().on(creator, header.get()->identity)
        .publish<&Identity::magic>(before.value, Written<Whole>::passedOn(creator, before.seen));
  }
  return Status::failed("exists", "processes are attached to the region that lies on this device");
}

Status Region::setPermissions(const CreateOptions& options) {
  // The administrator sets those of a device.
  if (backing_.isDevice()) return Status::fine();
  if (options.group >= 0 && fchown(fd_, static_cast<uid_t>(-1), static_cast<gid_t>(options.group)) != 0) {
    return Status::failed("system", systemError("setting the group"));
  }
  // Never grant access to everyone; callers have refused such modes.
  if (fchmod(fd_, options.mode & 0770) != 0) return Status::failed("system", systemError("setting permissions"));
  return Status::fine();
}

// Permissions, room, mapping, the creator's slot, and last what makes it a region.
Status Region::fill(const CreateOptions& options, CreateProgress* progress) {
  Status status = setPermissions(options);
  if (status.ok() && !backing_.isDevice()) status = Backing::of(fd_, backing_);
  if (status.ok()) status = backing_.mapsRingsOf(layout_.geometry);
  if (status.ok()) status = backing_.hasRoomFor(layout_);
  if (!status.ok()) return status;
  const uint64_t bytes = backing_.mappedBytes(layout_.regionBytes);
  // Bind the file to the node before its first page is allocated.
  if (options.numaNode >= 0 && !backing_.isDevice() && ftruncate(fd_, static_cast<off_t>(bytes)) != 0) {
    return Status::failed("system", systemError("making the region's file"));
  }
  if (options.numaNode >= 0 || backing_.isDevice()) status = adopt(fd_);
  if (status.ok() && options.numaNode >= 0) status = bindTo(options.numaNode, mapping_->base(), bytes);
  if (status.ok() && !backing_.isDevice()) status = reserve(fd_, bytes, progress);
  if (status.ok() && mapping_ == nullptr) status = adopt(fd_);
  if (!status.ok()) return status;
  // Clear what the former region left. Payload and ring data need no clearing: no process reads them before they are
  // written.
  if (backing_.isDevice()) std::memset(static_cast<void*>(mapping_->base()), 0, layout_.payload);
  if (options.prefault) prefault(mapping_->base(), layout_.regionBytes, progress);
  if (cancelled(progress)) return Status::failed("cancelled", "its creation was cancelled");
  Written<Whole> whole = writeBackAll(progress);
  if (cancelled(progress)) return Status::failed("cancelled", "its creation was cancelled");
  status = takeProcessSlot(options.processName, creatorSlot);
  if (status.ok()) writeIdentity(std::move(whole));
  return status;
}

// The zeroed pages lie in this host's cache as dirty lines, which the processor may write back at any later time, over
// what another host has written by then. So payload and ring data must be written back as well, although no process
// reads them before they are written; and so must those of a device, which a former region's processes have written.
Written<Whole> Region::writeBackAll(const CreateProgress* progress) const {
  const role::Creator creator;
  const auto all = Bytes<Whole>::of(*this, mapping_->base(), layout_.regionBytes);
  Written<Whole> written = publication_.wrote(creator, all.part(0, std::min(stepBytes, all.count())));
  for (uint64_t done = stepBytes; done < all.count() && !cancelled(progress); done += stepBytes) {
    written += publication_.wrote(creator, all.part(done, std::min(stepBytes, all.count() - done)));
  }
  return written;
}

// No other process can have found the region yet. The magic is published last all the same: a file that is copied, or
// looked at under its temporary name, is a region only once it is whole.
void Region::writeIdentity(Written<Whole>&& whole) {
  Header& head = header();
  HeaderCopy made{};
  made.identity.version = layoutVersion;
  made.identity.layoutHash = layoutHash();
  made.identity.regionBytes = layout_.regionBytes;
  randomId(made.identity.regionId);
  setId(made.identity.regionId);
  bootId(made.identity.bootId);
  made.geometry = layout_.geometry;
  made.birth.createdMillis = wallNanos() / 1'000'000;
  made.birth.creatorPid = static_cast<uint32_t>(getpid());
  made.birth.creatorPidNamespace = ownPidNamespace();
  made.birth.coherence = static_cast<uint32_t>(publication_.coherence());
  HeaderCopy sealed = made;
  sealed.identity.magic = regionMagic;
  made.birth.seal = headerSealOf(sealed);
  // SYNC: pairs with the observe of the magic number in copyMappedHeader. A file gets its name only after this.
  const role::Creator creator;
  publication_.on(creator, head.geometry).all(made.geometry);
  publication_.on(creator, head.birth).all(made.birth);
  publication_.on(creator, head.identity).allBefore<&Identity::magic>(made.identity).publish<&Identity::magic>(regionMagic, std::move(whole));
}

Status Region::publishFile(const std::string& temporary) {
  if (nameFile(temporary, path_, publication_.settle())) return Status::fine();
  if (errno == EEXIST) return Status::failed("exists", "a region of this name exists already");
  return Status::failed("system", systemError("publishing the region"));
}

}  // namespace ringfence
