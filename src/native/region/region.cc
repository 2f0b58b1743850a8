#include "region.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "byte_lock.h"
#include "epochs.h"
#include "region_file.h"
#include "token.h"

namespace ringfence {

// The last owner may remove the name between the opening of the file and the check of it. Then attach to the file that
// the name leads to now, if any. A device may have its next region by then: attach to that one.
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
  std::shared_ptr<Region> region;
  Status status = mapped(options, true, region);
  if (status.ok()) status = region->takeProcessSlot(options.processName, creatorSlot + 1);
  if (status.ok()) out = std::move(region);
  return status;
}

Status Region::look(const std::string& path, std::shared_ptr<Region>& out) { return mapped({path, "", true}, false, out); }

Status Region::mapped(const AttachOptions& options, bool writes, std::shared_ptr<Region>& out) {
  int fd = -1;
  struct stat file{};
  Status status = openExisting(options.path, options.allowForeign, fd, file);
  std::shared_ptr<Region> region(new Region());
  region->fd_ = fd;
  if (!status.ok()) return status;
  status = Backing::of(fd, region->backing_);
  if (!status.ok()) return status;
  HeaderCopy header{};
  status = readHeader(fd, static_cast<uint64_t>(file.st_size), region->backing_, header);
  if (status.ok()) status = ofThisHost(header);
  if (!status.ok()) return status;
  region->path_ = absolute(options.path);
  region->device_ = file.st_dev;
  region->inode_ = file.st_ino;
  region->layout_ = layoutOf(header.geometry);
  region->publication_ = Publication(static_cast<Coherence>(header.birth.coherence));
  region->setId(header.identity.regionId);
  status = region->backing_.mapsRingsOf(region->layout_.geometry);
  if (status.ok()) status = region->adopt(fd, writes);
  if (status.ok()) out = std::move(region);
  return status;
}

Status Region::reattach(const Region& other, const std::string& processName, std::shared_ptr<Region>& out) {
  AttachOptions options;
  options.path = "/proc/self/fd/" + std::to_string(other.fd_);
  options.processName = processName;
  // The link under /proc is the only symbolic link that is followed: it leads to memory that this process holds open.
  const int fd = open(options.path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return Status::failed("system", systemError("opening the region again"));
  std::shared_ptr<Region> region(new Region());
  region->fd_ = fd;
  region->path_ = other.path_;
  region->device_ = other.device_;
  region->inode_ = other.inode_;
  region->layout_ = other.layout_;
  region->publication_ = other.publication_;
  region->backing_ = other.backing_;
  region->setId(other.id_);
  Status status = region->adopt(fd);
  if (!status.ok()) return status;
  status = region->takeProcessSlot(processName, creatorSlot + 1);
  if (!status.ok()) return status;
  out = std::move(region);
  return Status::fine();
}

Region::~Region() { close(); }

void Region::setId(const uint64_t id[2]) {
  id_[0] = id[0];
  id_[1] = id[1];
  mark_ = markOf(id);
}

void Region::close() {
  if (fd_ < 0) return;
  const bool recoverable = owner_ && mark_ != 0 && logRecoverable(headsOf(*this));
  // Before all else, so that this process can no longer reach what another process takes over from here on.
  vacate();
  rungFifos_.close();
  if (pid_ == getpid()) {
    if (owner_ && !path_.empty()) removeName(recoverable);
    // Do not leave the unlocking to close(): a forked copy of this process may keep the file description open.
    const Settled settled = publication_.settle();
    if (lockedBlock_ >= 0) unlock(fd_, blockLocks + lockedBlock_, settled);
    if (elected_) unlock(fd_, electionLock, settled);
    if (slot_ != noSlot) unlock(fd_, processLocks + slot_, settled);
  }
  ::close(fd_);
  fd_ = -1;
}

Status Region::adopt(int fd, bool writes) {
  fd_ = fd;
  const uint64_t bytes = backing_.mappedBytes(layout_.regionBytes);
  void* base = mmap(nullptr, bytes, writes ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return Status::failed("system", systemError("mapping the region"));
  mapping_ = std::make_shared<Mapping>(static_cast<uint8_t*>(base), bytes);
  return Status::fine();
}

std::shared_ptr<RingMemory> Region::mapRing(uint32_t ring) {
  auto memory = fd_ < 0 ? nullptr : RingMemory::map(fd_, ringOffset(ring), layout_.geometry.ringBytes, backing_.unitBytes);
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

}  // namespace ringfence
