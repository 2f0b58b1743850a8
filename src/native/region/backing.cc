#include "backing.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "quantities.h"
#include "region_file.h"

namespace ringfence {

namespace {

constexpr decltype(statfs::f_type) hugetlbfsMagic = 0x958458f6;

#ifdef RINGFENCE_STEPS
std::string sysFolder() { return deviceTree().sys; }

bool standsForDevice(const struct stat& file) {
  return deviceTree().file != 0 && file.st_dev == deviceTree().fileDevice && file.st_ino == deviceTree().file;
}
#else
std::string sysFolder() { return "/sys"; }
#endif

bool deviceNumber(const struct stat& file, unsigned& majorNumber, unsigned& minorNumber) {
#ifdef RINGFENCE_STEPS
  majorNumber = deviceTree().major;
  minorNumber = deviceTree().minor;
  if (standsForDevice(file)) return true;
#endif
  if (!S_ISCHR(file.st_mode)) return false;
  majorNumber = major(file.st_rdev);
  minorNumber = minor(file.st_rdev);
  return true;
}

// Zero when there is no such number.
uint64_t numberIn(const std::string& file) {
  char text[32] = {};
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t count = read(fd, text, sizeof(text) - 1);
  close(fd);
  return count <= 0 ? 0 : std::strtoull(text, nullptr, 10);
}

bool isDax(const std::string& device) {
  char target[512] = {};
  const ssize_t count = readlink((device + "/subsystem").c_str(), target, sizeof(target) - 1);
  const char* last = count <= 0 ? nullptr : std::strrchr(target, '/');
  return last != nullptr && std::strcmp(last, "/dax") == 0;
}

Status deviceOf(unsigned major, unsigned minor, Backing& backing) {
  const std::string device = sysFolder() + "/dev/char/" + std::to_string(major) + ":" + std::to_string(minor);
  if (!isDax(device)) return Status::failed("notRegion", "it is a device, and not one of memory (DAX)");
  backing.kind = Backing::Kind::device;
  backing.freeBytes = numberIn(device + "/size");
  backing.unitBytes = numberIn(device + "/align");
  const bool usable = backing.unitBytes >= pageBytes && (backing.unitBytes & (backing.unitBytes - 1)) == 0;
  if (backing.freeBytes != 0 && usable) return Status::fine();
  return Status::failed("unsupported", "the system tells no size and alignment of this device: its driver must be device_dax");
}

uint64_t freeHugePages(uint64_t pageSize) {
  return numberIn(sysFolder() + "/kernel/mm/hugepages/hugepages-" + std::to_string(pageSize >> 10) + "kB/free_hugepages");
}

std::string folderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

#ifdef RINGFENCE_STEPS
DeviceTree& deviceTree() {
  static DeviceTree tree;
  return tree;
}
#endif

Status Backing::of(int fd, Backing& backing) {
  backing = Backing{};
  struct stat file{};
  struct statfs system{};
  if (fstat(fd, &file) != 0) return Status::failed("system", systemError("looking at the region's file"));
  unsigned major = 0, minor = 0;
  if (deviceNumber(file, major, minor)) return deviceOf(major, minor, backing);
  if (fstatfs(fd, &system) != 0 || system.f_type != hugetlbfsMagic) return Status::fine();
  backing.kind = Kind::hugePages;
  backing.unitBytes = static_cast<uint64_t>(system.f_bsize);
  // A mount with a limit of its own says what is left of it.
  const uint64_t pages = system.f_blocks != 0 ? static_cast<uint64_t>(system.f_bavail) : freeHugePages(backing.unitBytes);
  backing.freeBytes = pages * backing.unitBytes;
  return Status::fine();
}

Status Backing::at(const std::string& path, Backing& backing) {
  backing = Backing{};
  int fd = openRegionFile(path);
  if (fd < 0) fd = open(folderOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Status::fine();
  const Status status = of(fd, backing);
  close(fd);
  return status;
}

Status Backing::mapsRingsOf(const Geometry& g) const {
  if (g.rings == 0 || g.ringBytes % unitBytes == 0) return Status::fine();
  Status status = Status::failed("invalid", "memory there is mapped in units of " + formatBytes(unitBytes) + ", and a ring of " +
                                                formatBytes(g.ringBytes) + " is no multiple of that");
  status.hint = "give its rings at least " + formatBytes(unitBytes);
  return status;
}

Status Backing::hasRoomFor(const Layout& layout) const {
  if (mappedBytes(layout.regionBytes) <= freeBytes) return Status::fine();
  Status status = Status::failed("noSpace", isDevice() ? "the device is too small for it" : "there are not enough huge pages");
  status.wantedBytes = mappedBytes(layout.regionBytes);
  status.freeBytes = freeBytes;
  return status;
}

Publication ofAnyRegion() { return Publication(Coherence::flushed); }

DeviceHeader::DeviceHeader(int fd, const Backing& backing) : header_(nullptr), bytes_(backing.mappedBytes(sizeof(Header))) {
  if (bytes_ > backing.freeBytes) return;
  void* base = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base != MAP_FAILED) header_ = static_cast<Header*>(base);
}

Shown<uint64_t, Whole> DeviceHeader::clear() const {
  const Shown<uint64_t, Whole> before = ofAnyRegion().observeCovering<&Identity::magic>(header_->identity);
  ofAnyRegion().on(role::Creator(), header_->identity).withdraw<&Identity::magic>();
  static_cast<void>(ofAnyRegion().fullFence());
  return before;
}

DeviceHeader::~DeviceHeader() {
  if (header_ != nullptr) munmap(static_cast<void*>(header_), bytes_);
}

}  // namespace ringfence
