#include "region.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "byte_lock.h"
#include "futex.h"
#include "token.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

namespace ringfence {

namespace {

std::string systemError(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

void bootId(uint64_t id[2]) {
  id[0] = id[1] = 0;
  const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  char text[40] = {};
  const ssize_t count = read(fd, text, sizeof(text) - 1);
  close(fd);
  int digits = 0;
  for (ssize_t i = 0; i < count && digits < 32; i += 1) {
    const char c = text[i];
    int value;
    if (c >= '0' && c <= '9') {
      value = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      value = c - 'a' + 10;
    } else {
      continue;
    }
    id[digits / 16] = (id[digits / 16] << 4) | static_cast<uint64_t>(value);
    digits += 1;
  }
}

void randomId(uint64_t id[2]) {
  id[0] = id[1] = 0;
  const int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (read(fd, id, 16) != 16) id[0] = wallNanos();
    close(fd);
  }
  if (id[0] == 0 && id[1] == 0) id[0] = wallNanos() ^ static_cast<uint64_t>(getpid());
}

void copyName(char* to, size_t bytes, const std::string& name) {
  std::memset(to, 0, bytes);
  std::memcpy(to, name.data(), name.size() < bytes ? name.size() : bytes - 1);
}

std::string folderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

std::string baseOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

// The name outlives a change of the working directory.
std::string absolute(const std::string& path) {
  char folder[4096];
  if (path.empty() || path[0] == '/' || getcwd(folder, sizeof(folder)) == nullptr) return path;
  return std::string(folder) + "/" + path;
}

// A region that is being made: `<path>.creating-` and eight digits of its own. Nothing else is taken for one, as it would
// be removed when no process holds it.
constexpr const char* temporaryMark = ".creating-";
constexpr size_t temporaryDigits = 8;

bool isTemporaryOf(const std::string& name, const std::string& prefix) {
  return name.size() == prefix.size() + temporaryDigits && name.compare(0, prefix.size(), prefix) == 0 &&
         name.find_first_not_of("0123456789abcdef", prefix.size()) == std::string::npos;
}

bool isTemporary(const std::string& path) {
  const size_t mark = path.rfind(temporaryMark);
  return mark != std::string::npos && isTemporaryOf(path, path.substr(0, mark) + temporaryMark);
}

// The pid namespace that this process counts in, by its inode; 0 where the system does not say.
uint64_t ownPidNamespace() {
  struct stat own{};
  return stat("/proc/self/ns/pid", &own) == 0 ? static_cast<uint64_t>(own.st_ino) : 0;
}

ProcessPid seenFromHere(uint32_t pid, uint64_t pidNamespace) {
  static const uint64_t own = ownPidNamespace();
  return {pid, pidNamespace != 0 && own != 0 && pidNamespace != own};
}

// Temporary files of creators that died before they published: their lock is free. It is taken, so that a creator that
// has just made its file and not locked it yet finds that out.
void removeAbandoned(const std::string& path) {
  const std::string folder = folderOf(path);
  const std::string prefix = baseOf(path) + temporaryMark;
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return;
  while (const dirent* found = readdir(dir)) {
    if (!isTemporaryOf(found->d_name, prefix)) continue;
    const std::string file = folder + found->d_name;
    const int fd = open(file.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) continue;
    if (tryLock(fd, processLocks)) unlink(file.c_str());
    close(fd);
  }
  closedir(dir);
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

// Memory is asked for in steps, so that a large region can be given up while it is made.
constexpr uint64_t stepBytes = 16U << 20;

Status reserve(int fd, uint64_t bytes, const CreateProgress* progress) {
  struct statvfs volume{};
  const auto freeBytes = [&volume] { return static_cast<uint64_t>(volume.f_bavail) * volume.f_frsize; };
  // Some filesystems report no size at all; there the allocation itself is the judge.
  if (fstatvfs(fd, &volume) == 0 && volume.f_blocks != 0 && freeBytes() < bytes) return noSpace(bytes, freeBytes());
  for (uint64_t done = 0; done < bytes && !cancelled(progress); done += stepBytes) {
    const uint64_t count = bytes - done < stepBytes ? bytes - done : stepBytes;
    int error;
    do {
      error = posix_fallocate(fd, static_cast<off_t>(done), static_cast<off_t>(count));
    } while (error == EINTR);
    if (error == 0) continue;
    errno = error;
    if (error != ENOSPC && error != EFBIG) return Status::failed("system", systemError("allocating the region"));
    return noSpace(bytes, fstatvfs(fd, &volume) == 0 ? freeBytes() + done : 0);
  }
  return Status::fine();
}

void prefault(uint8_t* base, uint64_t bytes, CreateProgress* progress) {
  for (uint64_t done = 0; done < bytes && !cancelled(progress);) {
    const uint64_t count = bytes - done < stepBytes ? bytes - done : stepBytes;
    if (madvise(base + done, count, MADV_POPULATE_WRITE) != 0) {
      // Older kernels: touching a page by writing back what it holds does the same, a page at a time.
      for (uint64_t page = 0; page < count; page += pageBytes) {
        volatile uint8_t* touched = base + done + page;
        *touched = *touched;
      }
    }
    done += count;
    if (progress != nullptr) progress->faultedBytes.store(done, std::memory_order_relaxed);
  }
}

// Why a file that is looked at as a region cannot be opened.
Status openFailed(const std::string& path) {
  const int error = errno;
  if (error == ENOENT || error == ENOTDIR) return Status::failed("missing", "there is no such region");
  if (error == ELOOP) {
    char target[256];
    const ssize_t count = readlink(path.c_str(), target, sizeof(target));
    const std::string to = count > 0 ? " to " + std::string(target, static_cast<size_t>(count)) : "";
    return Status::failed("notRegion", "it is a symbolic link" + to + ", which is not followed");
  }
  if (error == EISDIR) return Status::failed("notRegion", "it is a folder");
  if (error == ENXIO || error == ENODEV) return Status::failed("notRegion", "it is not a file");
  struct stat file{};
  if (error == EACCES) {
    const bool known = stat(path.c_str(), &file) == 0;
    const std::string owner = known ? "it belongs to user " + std::to_string(file.st_uid) + ", and " : "";
    return Status::failed("notPermitted", owner + "its permissions do not let this user in");
  }
  errno = error;
  return Status::failed("system", systemError("it cannot be opened"));
}

int openRegion(const std::string& path) {
  // Not to wait for the other end of a pipe, nor to be given a terminal.
  return open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

// Foreign memory is only as honest as all who may write there: its owner, and the group that it lets in.
Status ownerAllowed(const struct stat& file, bool allowForeign) {
  if (file.st_uid == geteuid()) return Status::fine();
  const std::string owner = "it belongs to user " + std::to_string(file.st_uid);
  if ((file.st_mode & S_IWOTH) != 0) return Status::failed("notPermitted", owner + ", and every user may write to it");
  if (allowForeign) return Status::fine();
  if ((file.st_mode & S_IWGRP) == 0) return Status::failed("foreignOwner", owner);
  return Status::failed("foreignOwner", owner + ", who shares it with group " + std::to_string(file.st_gid));
}

Status openExisting(const std::string& path, bool allowForeign, int& fd, struct stat& file) {
  fd = openRegion(path);
  if (fd < 0) return openFailed(path);
  if (fstat(fd, &file) != 0) return Status::failed("system", systemError("reading the region's size"));
  if (!S_ISREG(file.st_mode) && !S_ISCHR(file.st_mode)) return Status::failed("notRegion", "it is not a file");
  return ownerAllowed(file, allowForeign);
}

// Reads the first page without mapping anything, so that a short file cannot hurt.
Status readHeader(int fd, uint64_t fileBytes, Header& header) {
  uint64_t magic = 0;
  if (pread(fd, &magic, sizeof(magic), 0) != static_cast<ssize_t>(sizeof(magic)) || magic != regionMagic) {
    return Status::failed("notRegion", "it is not a ringfence region");
  }
  if (fileBytes < sizeof(Header)) {
    return Status::failed("truncated", "it has " + std::to_string(fileBytes) + " bytes, less than a header");
  }
  if (pread(fd, &header, sizeof(Header), 0) != static_cast<ssize_t>(sizeof(Header))) {
    return Status::failed("system", systemError("reading the header"));
  }
  if (header.identity.version != layoutVersion || header.identity.layoutHash != layoutHash()) {
    char text[160];
    std::snprintf(text, sizeof(text), "it has layout version %u (%016llx), this program knows version %u (%016llx)",
                  header.identity.version, static_cast<unsigned long long>(header.identity.layoutHash),
                  layoutVersion, static_cast<unsigned long long>(layoutHash()));
    return Status::failed("versionMismatch", text);
  }
  if (header.birth.coherence != static_cast<uint32_t>(Coherence::coherent)) {
    return Status::failed("versionMismatch", "it is published by a discipline that this program does not know: " +
                                                 std::to_string(header.birth.coherence));
  }
  if (!geometryValid(header.geometry.geometry)) return Status::failed("corrupt", "its geometry is not valid");
  const uint64_t wanted = layoutOf(header.geometry.geometry).regionBytes;
  if (header.identity.regionBytes != wanted) return Status::failed("corrupt", "its sizes contradict each other");
  if (fileBytes < wanted) {
    return Status::failed("truncated", "it has " + std::to_string(fileBytes) + " of " + std::to_string(wanted) + " bytes");
  }
  // Other sizes may add up to the same: then the arrays would lie elsewhere for this process than for all others.
  if (header.birth.seal != headerSealOf(header)) {
    return Status::failed("corrupt", "its header was damaged from outside");
  }
  return Status::fine();
}

}  // namespace

Status Region::adopt(int fd, uint64_t bytes) {
  fd_ = fd;
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return Status::failed("system", systemError("mapping the region"));
  mapping_ = std::make_shared<Mapping>(static_cast<uint8_t*>(base), bytes);
  return Status::fine();
}

// SYNC: the slot's lines are written by the holder of its byte lock alone; `generation` is published last and pairs
// with the observe in processes().
Status Region::takeProcessSlot(const std::string& name, uint32_t first) {
  for (uint32_t i = first; i < layout_.geometry.processes; i += 1) {
    if (!tryLock(fd_, processLocks + i)) continue;
    ProcessOwner owner = publication_.copyOut(process(i).owner);
    slot_ = i;
    generation_ = owner.generation + 1 == 0 ? 1 : owner.generation + 1;
    owner.pid = static_cast<uint32_t>(getpid());
    owner.pidNamespace = ownPidNamespace();
    owner.naming = claimNone;
    owner.claiming = claimNone;
    copyName(owner.name, nameBytes, name);
    publication_.write(process(i).sleep.sleeps, uint32_t{awake});
    publication_.copyIn(process(i).owner, owner);
    publication_.publish(process(i).owner.generation, generation_);
    return Status::fine();
  }
  return Status::failed("full", "all " + std::to_string(layout_.geometry.processes) + " process slots are taken");
}

void Region::writeIdentity() {
  Header& head = header();
  head.identity.version = layoutVersion;
  head.identity.headerBytes = sizeof(Header);
  head.identity.layoutHash = layoutHash();
  head.identity.regionBytes = layout_.regionBytes;
  randomId(head.identity.regionId);
  bootId(head.identity.bootId);
  head.geometry.geometry = layout_.geometry;
  head.birth.createdMillis = wallNanos() / 1'000'000;
  head.birth.creatorPid = static_cast<uint32_t>(getpid());
  head.birth.creatorPidNamespace = ownPidNamespace();
  head.birth.coherence = static_cast<uint32_t>(publication_.coherence());
  Header sealed = head;
  sealed.identity.magic = regionMagic;
  head.birth.seal = headerSealOf(sealed);
  publication_.wrote(&head, sizeof(head));
  publication_.storeFence();
  publication_.publish(head.identity.magic, regionMagic);
}

// A file of the region's size under a temporary name, locked by its creator. One that was taken for a dead creator's
// before its lock was there, and removed, is made again.
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

Status Region::publishFile(const std::string& temporary) {
  if (syscall(SYS_renameat2, AT_FDCWD, temporary.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) == 0) {
    return Status::fine();
  }
  if (errno == EEXIST) return Status::failed("exists", "a region of this name exists already");
  return Status::failed("system", systemError("publishing the region"));
}

Status Region::create(const CreateOptions& options, CreateProgress* progress, std::shared_ptr<Region>& out) {
  if (!geometryValid(options.geometry)) return Status::failed("invalid", "the sizes are outside their limits");
  std::shared_ptr<Region> region(new Region());
  region->layout_ = layoutOf(options.geometry);
  region->path_ = absolute(options.path);
  region->owner_ = true;
  const bool anonymous = options.path.empty();
  std::string temporary;
  Status status;
  if (anonymous) {
    region->fd_ = memfd_create("ringfence", MFD_CLOEXEC);
    if (region->fd_ < 0) status = Status::failed("system", systemError("creating the region"));
  } else {
    // Seen before anything is allocated; the rename below is what decides.
    if (access(options.path.c_str(), F_OK) == 0) return Status::failed("exists", "a region of this name exists already");
    removeAbandoned(options.path);
    status = region->makeFile(options, temporary);
  }
  if (status.ok()) status = region->fill(options, progress);
  if (status.ok() && !anonymous) status = region->publishFile(temporary);
  if (status.ok()) {
    out = std::move(region);
  } else if (!temporary.empty()) {
    unlink(temporary.c_str());
  }
  return status;
}

// Permissions, room, mapping, the creator's slot, and last what makes it a region.
Status Region::fill(const CreateOptions& options, CreateProgress* progress) {
  if (options.group >= 0 && fchown(fd_, static_cast<uid_t>(-1), static_cast<gid_t>(options.group)) != 0) {
    return Status::failed("system", systemError("setting the group"));
  }
  // Never for everyone: modes that say so are refused before this.
  if (fchmod(fd_, options.mode & 0770) != 0) return Status::failed("system", systemError("setting permissions"));
  Status status = reserve(fd_, layout_.regionBytes, progress);
  if (status.ok()) status = adopt(fd_, layout_.regionBytes);
  if (!status.ok()) return status;
  if (options.prefault) prefault(mapping_->base(), layout_.regionBytes, progress);
  if (cancelled(progress)) return Status::failed("cancelled", "its creation was given up");
  status = takeProcessSlot(options.processName, creatorSlot);
  if (status.ok()) writeIdentity();
  return status;
}

// The last owner may remove the name between the opening of the file and the look at it: then the file is no region of
// that name any more, and what the name leads to now, if anything, is attached to instead.
Status Region::attach(const AttachOptions& options, std::shared_ptr<Region>& out) {
  constexpr int attempts = 2;
  for (int attempt = 0; attempt < attempts; attempt += 1) {
    std::shared_ptr<Region> region;
    const Status status = attachOnce(options, region);
    if (!status.ok()) return status;
    if (!region->named()) continue;
    out = std::move(region);
    return status;
  }
  return Status::failed("missing", "it was removed at this moment");
}

Status Region::attachOnce(const AttachOptions& options, std::shared_ptr<Region>& out) {
  int fd = -1;
  struct stat file{};
  Status status = openExisting(options.path, options.allowForeign, fd, file);
  std::shared_ptr<Region> region(new Region());
  region->fd_ = fd;
  if (!status.ok()) return status;
  Header header{};
  status = readHeader(fd, static_cast<uint64_t>(file.st_size), header);
  if (!status.ok()) return status;
  region->path_ = absolute(options.path);
  region->device_ = file.st_dev;
  region->inode_ = file.st_ino;
  region->layout_ = layoutOf(header.geometry.geometry);
  status = region->adopt(fd, region->layout_.regionBytes);
  if (!status.ok()) return status;
  status = region->takeProcessSlot(options.processName, creatorSlot + 1);
  if (!status.ok()) return status;
  out = std::move(region);
  return Status::fine();
}

Status Region::reattach(const Region& other, const std::string& processName, std::shared_ptr<Region>& out) {
  AttachOptions options;
  options.path = "/proc/self/fd/" + std::to_string(other.fd_);
  options.processName = processName;
  // The link under /proc is the one symbolic link that is followed: it leads to memory this process holds open.
  const int fd = open(options.path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return Status::failed("system", systemError("opening the region again"));
  std::shared_ptr<Region> region(new Region());
  region->fd_ = fd;
  region->path_ = other.path_;
  region->device_ = other.device_;
  region->inode_ = other.inode_;
  region->layout_ = other.layout_;
  Status status = region->adopt(fd, region->layout_.regionBytes);
  if (!status.ok()) return status;
  status = region->takeProcessSlot(processName, creatorSlot + 1);
  if (!status.ok()) return status;
  out = std::move(region);
  return Status::fine();
}

Region::~Region() { close(); }

void Region::close() {
  if (fd_ < 0) return;
  // First of all: what another process takes over from here on is out of this one's reach.
  vacate();
  if (pid_ == getpid()) {
    if (owner_ && !path_.empty()) removeName();
    // Not left to the file's end: a copy of this process may have it open, too.
    unlock(fd_, leaseLock);
    unlock(fd_, processLocks + slot_);
  }
  ::close(fd_);
  fd_ = -1;
}

std::shared_ptr<RingMemory> Region::mapRing(uint32_t ring) {
  auto memory = fd_ < 0 ? nullptr : RingMemory::map(fd_, ringOffset(ring), layout_.geometry.ringBytes);
  if (memory == nullptr) return nullptr;
  std::erase_if(ringMemories_, [](const std::weak_ptr<RingMemory>& known) { return known.expired(); });
  ringMemories_.push_back(memory);
  return memory;
}

void Region::vacate() {
  if (mapping_ != nullptr) mapping_->vacate();
  for (const std::weak_ptr<RingMemory>& known : ringMemories_) {
    if (const auto memory = known.lock()) memory->vacate();
  }
}

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

bool Region::processAlive(uint32_t slot, uint64_t generation) const {
  if (fd_ < 0 || slot >= layout_.geometry.processes) return false;
  if (publication_.observe(process(slot).owner.generation) != generation) return false;
  return slot == slot_ || lockHeld(fd_, processLocks + slot);
}

std::vector<ProcessView> Region::processes() const {
  std::vector<ProcessView> views;
  if (fd_ < 0) return views;
  for (uint32_t i = 0; i < layout_.geometry.processes; i += 1) {
    const ProcessOwner owner = publication_.copyOut(process(i).owner);
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
  const ProcessOwner& owner = process(slot).owner;
  return seenFromHere(publication_.read(owner.pid), publication_.read(owner.pidNamespace));
}

bool Region::tryLockLease() {
  leased_ = leased_ || (fd_ >= 0 && tryLock(fd_, leaseLock));
  return leased_;
}

void Region::unlockLease() {
  if (fd_ >= 0) unlock(fd_, leaseLock);
  leased_ = false;
}

namespace {

// An eventcount. Of all who find what the sleeper waits for one takes the word, all of its bits, and that one rings: so a
// sleeper costs one call of the system between two times that it goes to sleep, and one that died in its sleep costs one
// call ever. Who finds the word taken relies on the one that took it: the sleeper looks after all it waits for when it is
// rung. A process that is killed or stopped between taking and ringing is made up for by the sleeper, which looks at its
// own word ten times a second (Waiter::run, Sequencer::sleep).
Rung ringIf(const Publication& p, SleepLine& sleep, BellLine& bell, uint32_t reasons) {
  if ((p.read(sleep.sleeps) & reasons) == 0) return Rung::notAsleep;
  if (p.take(sleep.sleeps) == awake) return Rung::notAsleep;
  p.ring(bell.bell);
  return futexWake(&bell.bell) == 0 ? Rung::unheard : Rung::woke;
}

}  // namespace

// SYNC: the full fence orders what was published before against the sleepers' word; the sleeper writes that word,
// fences, and looks again before it sleeps (waiter.cc, sequencer.cc). One of the two sees the other.
void Region::wakeSequencer(uint32_t reasons) const {
  publication_.fullFence();
  ringIf(publication_, header().sequencerSleep, header().sequencerBell, reasons);
}

void Region::wakeProcesses(uint32_t reasons) const {
  publication_.fullFence();
  for (uint32_t i = 0; i < layout_.geometry.processes; i += 1) wakeProcess(i, reasons);
}

Rung Region::wakeProcess(uint32_t slot, uint32_t reasons) const {
  if (slot >= layout_.geometry.processes) return Rung::notAsleep;
  return ringIf(publication_, process(slot).sleep, process(slot).bell, reasons);
}

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
  const int fd = openRegion(path);
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
    status = Status::failed("notPermitted", "it belongs to user " + std::to_string(mine.st_uid) + ", who alone removes it");
  } else if (!S_ISREG(mine.st_mode) || (!isTemporary(path) && (!read || magic != regionMagic))) {
    status = Status::failed("notRegion", "it is not a ringfence region, so it is left alone");
  } else if (!tryLock(fd, processLocks + creatorSlot)) {
    status = Status::failed("busy", "the process that created it is alive");
  } else if (lockHeld(fd, leaseLock)) {
    // Not the creator, but a process that serves the log here. Clients of a dead server only wait to learn of its death.
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
