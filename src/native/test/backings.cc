// The backings of a region: devices, huge pages, NUMA nodes, and regions of another host.
//
// The test machines have no DAX device. A file stands for it: the code under test takes a file for a device when the
// device tree that the test creates instead of /sys names it. It refuses the calls that a device refuses.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "device_calls.h"
#include "log_fixture.h"
#include "region/inspection.h"
#include "region/region_file.h"
#include "region/token.h"
#include "ring_fixture.h"
#include "steps.h"

namespace ringfence::test {

namespace {

constexpr uint64_t mebibyte = 1 << 20;
constexpr uint64_t hugePage = 2 * mebibyte;

void writeText(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  CHECK_EQUAL(write(fd, text.data(), text.size()), text.size());
  close(fd);
}

void makeFolders(const std::string& path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    mkdir(path.substr(0, at).c_str(), 0700);
  }
  mkdir(path.c_str(), 0700);
}

// A file that stands for a device of that size, and its entry in the device tree.
struct FakeDevice {
  std::string path = scratchFolder() + "/dax0.0";
  std::string attributes = scratchFolder() + "/sys/dev/char/252:7";

  explicit FakeDevice(uint64_t bytes, const std::string& align = "2097152", const std::string& subsystem = "dax") {
    deviceTree() = {};
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK_EQUAL(ftruncate(fd, static_cast<off_t>(bytes)), 0);
    struct stat file{};
    fstat(fd, &file);
    close(fd);
    makeFolders(attributes);
    makeFolders(scratchFolder() + "/sys/bus/" + subsystem);
    CHECK_EQUAL(symlink(("../../../bus/" + subsystem).c_str(), (attributes + "/subsystem").c_str()), 0);
    writeText(attributes + "/size", std::to_string(bytes) + "\n");
    if (!align.empty()) writeText(attributes + "/align", align + "\n");
    deviceTree() = {scratchFolder() + "/sys", file.st_dev, file.st_ino, 252, 7};
  }
  // No call was made that a device refuses.
  ~FakeDevice() { CHECK_EQUAL(refusedCalls(), 0); }
  FakeDevice(const FakeDevice&) = delete;
  FakeDevice& operator=(const FakeDevice&) = delete;
};

Geometry withRings(uint64_t ringBytes) {
  Geometry g = tinyGeometry();
  g.rings = 2;
  g.ringReaders = 2;
  g.ringBytes = ringBytes;
  return g;
}

Status create(const std::string& path, std::shared_ptr<Region>& region, const Geometry& geometry = withRings(hugePage)) {
  CreateOptions options;
  options.path = path;
  options.processName = "creator";
  options.geometry = geometry;
  return Region::create(options, nullptr, region);
}

Status attach(const std::string& path, std::shared_ptr<Region>& region) {
  return Region::attach({path, "client", false}, region);
}

// Creates a region at the path, and uses a log and a ring in it.
void expectServes(const std::string& path) {
  std::shared_ptr<Region> region;
  CHECK_EQUAL(create(path, region).detail, "");
  TestLog log(region, TestLog::manual());
  Publishing publishing(log.open(log.declare("t", orderSession)));
  CHECK(publishing.publish(0, 0));
  log.settle();
  std::shared_ptr<Region> client;
  CHECK_EQUAL(attach(path, client).detail, "");
  CHECK_EQUAL(client->processes().size(), 2);
  const auto memory = client->mapRing(1);
  CHECK(memory != nullptr);
  CHECK_EQUAL(reinterpret_cast<uint64_t>(memory->base()) % hugePage, 0);
  memory->base()[hugePage - 1] = 7;
  CHECK_EQUAL(memory->base()[2 * hugePage - 1], 7);
  memory->base()[hugePage] = 9;
  CHECK_EQUAL(memory->base()[0], 9);
}

}  // namespace

TEST("a region on a device is made in place, found there, and gone with its last owner") {
  const FakeDevice device(64 * mebibyte);
  expectServes(device.path);
  std::shared_ptr<Region> client;
  CHECK_EQUAL(attach(device.path, client).fault, "notRegion");
  struct stat file{};
  CHECK_EQUAL(stat(device.path.c_str(), &file), 0);
  CHECK_EQUAL(file.st_size, 64 * mebibyte);
  expectServes(device.path);
}

TEST("a device is not read, resized, allocated or renamed over, for it refuses that: it is made, looked at and removed without") {
  const FakeDevice device(64 * mebibyte);
  const int fd = open(device.path.c_str(), O_RDWR | O_CLOEXEC);
  char byte = 0;
  CHECK_EQUAL(pread(fd, &byte, 1, 0), -1);
  CHECK_EQUAL(ftruncate(fd, 0), -1);
  CHECK_EQUAL(posix_fallocate(fd, 0, 1), ENODEV);
  CHECK_EQUAL(syscall(SYS_renameat2, AT_FDCWD, device.path.c_str(), AT_FDCWD, (device.path + "2").c_str(), 0), -1);
  CHECK_EQUAL(refusedCalls(), 4);
  close(fd);
  refusedCalls() = 0;
  std::shared_ptr<Region> region, client;
  CHECK_EQUAL(create(device.path, region).fault, "none");
  CHECK_EQUAL(attach(device.path, client).fault, "none");
  CHECK_EQUAL(inspect(device.path).attached, 2);
  CHECK_EQUAL(removeDead(device.path).fault, "busy");
  region->close();
  client->close();
  CHECK_EQUAL(inspect(device.path).fault, "notRegion");
}

TEST("a device is bound to no NUMA node, and stays as it is") {
  const FakeDevice device(64 * mebibyte);
  std::shared_ptr<Region> region;
  CreateOptions options;
  options.path = device.path;
  options.geometry = tinyGeometry();
  options.numaNode = 0;
  const Status status = Region::create(options, nullptr, region);
  CHECK_EQUAL(status.fault, "invalid");
  CHECK_EQUAL(status.detail, "a device's memory belongs to a NUMA node already, and is bound to no other");
  CHECK_EQUAL(status.hint, "choose no NUMA node for it");
  CHECK_EQUAL(inspect(device.path).fault, "notRegion");
  CHECK_EQUAL(create(device.path, region).fault, "none");
}

TEST("what a former region left on a device is not in the next one") {
  const FakeDevice device(64 * mebibyte);
  std::shared_ptr<Region> former, next;
  CHECK_EQUAL(create(device.path, former).fault, "none");
  std::memset(static_cast<void*>(former->mapping()->base() + sizeof(Header)), 0x5a, former->layout().payload - sizeof(Header));
  former->close();
  CHECK_EQUAL(create(device.path, next).fault, "none");
  const Layout& layout = next->layout();
  for (uint64_t at = layout.topics; at < layout.payload; at += 1) CHECK_EQUAL(next->mapping()->base()[at], 0);
  CHECK_EQUAL(next->processes().size(), 1);
}

// A descriptor as a killed process left it in its host's cache, which may write it back at any later time.
TEST("a batch of a device's former region is none of the next one, even if it is written back late") {
  const FakeDevice device(64 * mebibyte);
  std::shared_ptr<Region> former, next;
  uint8_t left[sizeof(Descriptor)];
  const auto placeOf = [](const Region& region, Publishing& publishing) {
    return static_cast<void*>(&region.descriptor(region.laneOf(0, publishing.lanes().claim().slot), 0));
  };
  CHECK_EQUAL(create(device.path, former).fault, "none");
  {
    TestLog log(former, TestLog::manual());
    Publishing publishing(log.open(log.declare("t", orderSession)));
    CHECK(publishing.publish(0, 0));
    log.settle();
    CHECK_EQUAL(log.sequencer().counters().batches, 1);
    std::memcpy(left, placeOf(*former, publishing), sizeof(left));
  }
  former->close();
  CHECK_EQUAL(create(device.path, next).fault, "none");
  TestLog log(next, TestLog::manual());
  Publishing publishing(log.open(log.declare("t", orderSession)));
  std::memcpy(placeOf(*next, publishing), left, sizeof(left));
  log.settle();
  CHECK_EQUAL(log.sequencer().counters().batches, 0);
  CHECK(publishing.publish(0, 0));
  log.settle();
  CHECK_EQUAL(log.sequencer().counters().batches, 1);
}

TEST("a device has one region at a time, also while a dead one's clients live") {
  const FakeDevice device(64 * mebibyte);
  std::shared_ptr<Region> first, second, client;
  CHECK_EQUAL(create(device.path, first).fault, "none");
  CHECK_EQUAL(attach(device.path, client).fault, "none");
  CHECK_EQUAL(create(device.path, second).fault, "exists");
  CHECK_EQUAL(removeDead(device.path).fault, "busy");
  first->close();
  CHECK_EQUAL(create(device.path, second).detail, "processes are attached to the region that lies on this device");
  CHECK_EQUAL(client->processes().size(), 2);
  client->close();
  CHECK_EQUAL(create(device.path, second).fault, "none");
}

TEST("a region that its killed creator left on a device is removed, and is no obstacle") {
  const FakeDevice device(64 * mebibyte);
  const auto killedCreator = [&device] {
    const pid_t child = fork();
    if (child == 0) {
      std::shared_ptr<Region> region;
      if (!create(device.path, region).ok()) _exit(1);
      ::kill(getpid(), SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    CHECK(inspect(device.path).region);
  };
  killedCreator();
  CHECK_EQUAL(removeDead(device.path).detail, "");
  CHECK_EQUAL(inspect(device.path).fault, "notRegion");
  killedCreator();
  expectServes(device.path);
}

TEST("a creator that is killed at any of its stores leaves the device to the next") {
  const FakeDevice device(32 * mebibyte);
  for (uint64_t step = 1;; step += 1) {
    const pid_t child = fork();
    if (child == 0) {
      std::shared_ptr<Region> region;
      interleaved(step, [&] { create(device.path, region); }, [] { ::kill(getpid(), SIGKILL); });
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    std::shared_ptr<Region> next, client;
    CHECK_EQUAL(create(device.path, next).detail, "");
    CHECK_EQUAL(attach(device.path, client).fault, "none");
    if (!WIFSIGNALED(status)) {
      CHECK(step > 10);
      return;
    }
  }
}

TEST("a client that attaches between any two steps of the next creation keeps it from the device, or is refused") {
  const FakeDevice device(32 * mebibyte);
  uint64_t kept = 0, refused = 0;
  for (uint64_t step = 0;; step += 1) {
    // A region whose creator is dead. Clients can still attach to it.
    const pid_t child = fork();
    if (child == 0) {
      std::shared_ptr<Region> former;
      create(device.path, former);
      ::kill(getpid(), SIGKILL);
    }
    waitpid(child, nullptr, 0);
    std::shared_ptr<Region> next, client;
    Status made, attached;
    const bool between = interleaved(step, [&] { made = create(device.path, next); },
                                     [&] { attached = attach(device.path, client); });
    if (!between) {
      CHECK(kept > 0 && refused > 0);
      return;
    }
    CHECK_EQUAL(attached.ok(), !made.ok());
    kept += attached.ok() ? 1 : 0;
    refused += attached.ok() ? 0 : 1;
    if (attached.ok()) CHECK_EQUAL(made.fault, "exists");
    if (attached.ok()) CHECK_EQUAL(RawLine::of(client->header().identity).magic, regionMagic);
  }
}

TEST("a device that the system does not describe, and one that is no memory, are refused") {
  std::shared_ptr<Region> region;
  for (const char* align : {"", "0", "1000", "3145728", "text"}) {
    const FakeDevice device(64 * mebibyte, align);
    CHECK_EQUAL(create(device.path, region).fault, "unsupported");
    CHECK_EQUAL(attach(device.path, region).fault, "unsupported");
    unlink((device.attributes + "/subsystem").c_str());
    unlink((device.attributes + "/align").c_str());
  }
  const FakeDevice input(64 * mebibyte, "2097152", "input");
  CHECK_EQUAL(create(input.path, region).fault, "notRegion");
  CHECK_EQUAL(removeDead(input.path).fault, "notRegion");
  deviceTree() = {};
  CHECK_EQUAL(attach("/dev/null", region).fault, "notRegion");
  CHECK_EQUAL(create("/dev/null", region).fault, "notRegion");
}

TEST("a region is not larger than its device, and its rings are whole units of it") {
  const FakeDevice device(4 * mebibyte);
  std::shared_ptr<Region> region;
  const Status small = create(device.path, region);
  CHECK_EQUAL(small.fault, "noSpace");
  CHECK_EQUAL(small.freeBytes, 4 * mebibyte);
  CHECK_EQUAL(small.wantedBytes % hugePage, 0);
  const Status rings = create(device.path, region, withRings(65536));
  CHECK_EQUAL(rings.fault, "invalid");
  CHECK_EQUAL(rings.detail, "memory there is mapped in units of 2 MiB, and a ring of 64 KiB is no multiple of that");
  CHECK_EQUAL(rings.hint, "give its rings at least 2 MiB");
  CHECK_EQUAL(create(device.path, region, tinyGeometry()).fault, "none");
}

TEST("a region lies on huge pages, whose file is as long as whole pages are") {
  const std::string folder = scratchFolder() + "/huge";
  mkdir(folder.c_str(), 0700);
  Backing backing;
  const bool mounted = mount("none", folder.c_str(), "hugetlbfs", 0, "pagesize=2M,mode=0700") == 0;
  if (mounted) CHECK_EQUAL(Backing::at(folder + "/region", backing).fault, "none");
  if (!mounted || backing.freeBytes < 32 * mebibyte) {
    if (mounted) umount2(folder.c_str(), MNT_DETACH);
    skip("no huge pages that this process may have: as root, echo 32 > /proc/sys/vm/nr_hugepages");
  }
  CHECK_EQUAL(backing.unitBytes, hugePage);
  const std::string path = folder + "/region";
  expectServes(path);
  std::shared_ptr<Region> region;
  CHECK_EQUAL(create(path, region, withRings(65536)).fault, "invalid");
  Geometry large = withRings(hugePage);
  large.rings = 1024;
  const Status status = create(path, region, large);
  CHECK_EQUAL(status.fault, "noSpace");
  CHECK_EQUAL(status.freeBytes, backing.freeBytes);
  CHECK_EQUAL(rmdir(folder.c_str()), -1);
  CHECK_EQUAL(umount2(folder.c_str(), MNT_DETACH), 0);
}

TEST("a region's memory is bound to the NUMA node that was asked for, and to no other") {
  CreateOptions options;
  options.path = scratchFolder() + "/region";
  options.geometry = tinyGeometry();
  options.numaNode = 0;
  std::shared_ptr<Region> region;
  const Status status = Region::create(options, nullptr, region);
  if (!status.ok() && std::string(status.fault) != "invalid") skip(status.detail);
  CHECK_EQUAL(status.detail, "");
  int policy = -1;
  uint64_t nodes[16] = {};
  constexpr int ofAddress = 2;  // MPOL_F_ADDR
  CHECK_EQUAL(syscall(SYS_get_mempolicy, &policy, nodes, 1024, region->mapping()->base(), ofAddress), 0);
  CHECK_EQUAL(policy, 2);  // MPOL_BIND
  CHECK_EQUAL(nodes[0], 1);
  region->close();
  for (const int32_t node : {777, 100'000}) {
    options.numaNode = node;
    CHECK_EQUAL(Region::create(options, nullptr, region).fault, "invalid");
    CHECK_EQUAL(access(options.path.c_str(), F_OK), -1);
  }
}

TEST("a region of another host, or from before this one was started, is refused and can be removed") {
  const std::string path = scratchFolder() + "/region";
  const pid_t child = fork();
  if (child == 0) {
    std::shared_ptr<Region> region;
    if (!create(path, region).ok()) _exit(1);
    HeaderCopy header{};
    std::memcpy(static_cast<void*>(&header), &region->header(), sizeof(header));
    header.identity.bootId[0] ^= 1;
    header.birth.seal = headerSealOf(header);
    std::memcpy(static_cast<void*>(&region->header()), &header, sizeof(header));
    ::kill(getpid(), SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  std::shared_ptr<Region> region;
  CHECK_EQUAL(attach(path, region).fault, "otherHost");
  CHECK_EQUAL(inspect(path).fault, "otherHost");
  CHECK_EQUAL(removeDead(path).fault, "none");
  CHECK_EQUAL(access(path.c_str(), F_OK), -1);
}

}  // namespace ringfence::test
