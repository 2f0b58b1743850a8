// A region's file: its creation, the checks of an attachment, and what is left when either fails.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "region/inspection.h"
#include "region/quantities.h"
#include "log_fixture.h"

namespace ringfence::test {

namespace {

std::string pathOf(const char* name) { return scratchFolder() + "/" + name; }

Status create(const std::string& path, std::shared_ptr<Region>& region, uint32_t mode = 0600) {
  CreateOptions options;
  options.path = path;
  options.geometry = tinyGeometry();
  options.mode = mode;
  options.processName = "creator";
  return Region::create(options, nullptr, region);
}

Status attach(const std::string& path, std::shared_ptr<Region>& region, bool allowForeign = false) {
  return Region::attach({path, "client", allowForeign}, region);
}

uint32_t filesLeft() {
  DIR* dir = opendir(scratchFolder().c_str());
  uint32_t count = 0;
  while (const dirent* entry = readdir(dir)) count += entry->d_name[0] == '.' ? 0 : 1;
  closedir(dir);
  return count;
}

template <class Record>
void patch(const std::string& path, off_t at, const Record& value) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  CHECK_EQUAL(pwrite(fd, &value, sizeof(value), at), sizeof(value));
  close(fd);
}

// A copy of a good region's file that no process serves.
std::string abandonedRegion(const char* name) {
  const std::string path = pathOf(name);
  std::shared_ptr<Region> region;
  CHECK_EQUAL(create(path + ".made", region).fault, "none");
  CHECK_EQUAL(link((path + ".made").c_str(), path.c_str()), 0);
  region->close();
  return path;
}

std::string expectRefused(const std::string& path, const char* fault) {
  std::shared_ptr<Region> region;
  const Status status = attach(path, region);
  CHECK_EQUAL(status.fault, fault);
  CHECK(!status.detail.empty());
  CHECK(region == nullptr);
  return status.detail;
}

TEST("a created region can be attached to, and its name goes with its owner") {
  const std::string path = pathOf("region");
  std::shared_ptr<Region> owner;
  std::shared_ptr<Region> client;
  CHECK_EQUAL(create(path, owner).fault, "none");
  CHECK_EQUAL(filesLeft(), 1);
  CHECK_EQUAL(attach(path, client).fault, "none");
  CHECK_EQUAL(client->layout().regionBytes, owner->layout().regionBytes);
  client->close();
  CHECK_EQUAL(access(path.c_str(), F_OK), 0);
  owner->close();
  CHECK_EQUAL(filesLeft(), 0);
}

TEST("a region is never created over another, and the attempt leaves nothing") {
  const std::string path = pathOf("region");
  std::shared_ptr<Region> first;
  std::shared_ptr<Region> second;
  CHECK_EQUAL(create(path, first).fault, "none");
  RawLine::of(first->header().topicWishes).reserved[0] = 77;
  CHECK_EQUAL(create(path, second).fault, "exists");
  CHECK(second == nullptr);
  CHECK_EQUAL(filesLeft(), 1);
  CHECK_EQUAL(attach(path, second).fault, "none");
  CHECK_EQUAL(RawLine::of(second->header().topicWishes).reserved[0], 77);
}

TEST("of many that create one name at a time, exactly one does and no temporary file stays") {
  const std::string path = pathOf("region");
  pid_t children[8];
  for (pid_t& child : children) {
    child = fork();
    if (child != 0) continue;
    std::shared_ptr<Region> region;
    const Status status = create(path, region);
    usleep(300'000);  // the winner keeps it while the others try
    _exit(status.ok() ? 0 : std::strcmp(status.fault, "exists") == 0 ? 1 : 2);
  }
  int winners = 0;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    winners += WEXITSTATUS(status) == 0 ? 1 : 0;
  }
  CHECK_EQUAL(winners, 1);
  CHECK_EQUAL(filesLeft(), 1);
}

TEST("the file's permissions are what was asked for, and never open to the world") {
  const uint32_t cases[][2] = {{0600, 0600}, {0660, 0660}, {0640, 0640}, {0666, 0660}, {0777, 0770}, {04600, 0600}};
  for (const auto& [asked, given] : cases) {
    const std::string path = pathOf("region");
    std::shared_ptr<Region> region;
    CHECK_EQUAL(create(path, region, asked).fault, "none");
    struct stat file{};
    CHECK_EQUAL(stat(path.c_str(), &file), 0);
    CHECK_EQUAL(file.st_mode & 07777, given);
  }
}

TEST("what cannot be allocated is refused with both sizes, and leaves nothing") {
  CreateOptions options;
  options.path = pathOf("region");
  options.geometry = tinyGeometry();
  options.geometry.brokers = brokersMax;
  options.geometry.clients = clientsMax;
  options.geometry.lanePayloadBytes = 1ULL << 32;
  std::shared_ptr<Region> region;
  const Status status = Region::create(options, nullptr, region);
  CHECK_EQUAL(status.fault, "noSpace");
  CHECK_EQUAL(status.wantedBytes, layoutOf(options.geometry).regionBytes);
  CHECK(status.freeBytes > 0 && status.freeBytes < status.wantedBytes);
  CHECK_EQUAL(filesLeft(), 0);
}

TEST("a creation that is given up ends so, allocates no further, and leaves nothing") {
  CreateOptions options;
  options.path = pathOf("region");
  options.geometry = tinyGeometry();
  CreateProgress progress;
  progress.cancelled.store(true, std::memory_order_relaxed);  // private
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::create(options, &progress, region).fault, "cancelled");
  CHECK(region == nullptr);
  CHECK_EQUAL(progress.faultedBytes.load(std::memory_order_relaxed), 0);  // private
  CHECK_EQUAL(filesLeft(), 0);
  options.path.clear();
  CHECK_EQUAL(Region::create(options, &progress, region).fault, "cancelled");
}

TEST("an allocation that fails half-way is refused, and leaves nothing") {
  signal(SIGXFSZ, SIG_IGN);
  const std::string path = pathOf("region");
  const rlimit small{64 * 1024, 64 * 1024};
  CHECK_EQUAL(setrlimit(RLIMIT_FSIZE, &small), 0);
  std::shared_ptr<Region> region;
  CHECK_EQUAL(create(path, region).fault, "noSpace");
  CHECK_EQUAL(filesLeft(), 0);
}

TEST("sizes that do not fit together are refused before anything is made") {
  CreateOptions options;
  options.path = pathOf("region");
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::create(options, nullptr, region).fault, "invalid");
  CHECK_EQUAL(filesLeft(), 0);
}

TEST("what a creator left that died before it published is removed by the next one") {
  const std::string path = pathOf("region");
  const std::string dead = path + ".creating-0badcafe";
  close(open(dead.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  const std::string alive = path + ".creating-00c0ffee";
  const int fd = open(alive.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = (off_t{1} << 40) + 1;
  lock.l_len = 1;
  CHECK_EQUAL(fcntl(fd, F_OFD_SETLK, &lock), 0);
  std::shared_ptr<Region> region;
  CHECK_EQUAL(create(path, region).fault, "none");
  CHECK(access(dead.c_str(), F_OK) != 0);
  CHECK_EQUAL(access(alive.c_str(), F_OK), 0);
}

TEST("attaching to what is not a whole region of this version is refused, each with its reason") {
  expectRefused(pathOf("nothing"), "missing");
  const std::string text = pathOf("text");
  close(open(text.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  expectRefused(text, "notRegion");
  CHECK_EQUAL(truncate(text.c_str(), 2 * pageBytes), 0);
  expectRefused(text, "notRegion");
  expectRefused(scratchFolder(), "notRegion");

  const std::string link = pathOf("link");
  CHECK_EQUAL(symlink(abandonedRegion("target").c_str(), link.c_str()), 0);
  expectRefused(link, "notRegion");

  const std::string version = abandonedRegion("version");
  patch(version, offsetof(Identity, version), layoutVersion + 1);
  expectRefused(version, "versionMismatch");
  const std::string hash = abandonedRegion("hash");
  patch(hash, offsetof(Identity, layoutHash), layoutHash() ^ 1);
  expectRefused(hash, "versionMismatch");

  const std::string cut = abandonedRegion("cut");
  CHECK_EQUAL(truncate(cut.c_str(), static_cast<off_t>(layoutOf(tinyGeometry()).regionBytes - 1)), 0);
  CHECK_EQUAL(expectRefused(cut, "truncated"), "it lacks 1 byte of " + formatBytes(layoutOf(tinyGeometry()).regionBytes));
  CHECK_EQUAL(truncate(cut.c_str(), pageBytes - 1), 0);
  CHECK_EQUAL(expectRefused(cut, "truncated"), "it has 4.0 KiB, less than a header");
}

TEST("a refused version names both versions") {
  const std::string path = abandonedRegion("version");
  patch(path, offsetof(Identity, version), uint32_t{4711});
  std::shared_ptr<Region> region;
  const Status status = attach(path, region);
  CHECK(status.detail.find("4711") != std::string::npos);
  CHECK(status.detail.find("version " + std::to_string(layoutVersion)) != std::string::npos);
}

TEST("a geometry that overflows, or that contradicts the sizes, is refused") {
  const std::string path = abandonedRegion("geometry");
  Geometry g = tinyGeometry();
  g.brokers = 0xffffffff;
  g.clients = 0xffffffff;
  patch(path, offsetof(Header, geometry), g);
  expectRefused(path, "corrupt");
  g = tinyGeometry();
  g.lanePayloadBytes = 1ULL << 63;
  patch(path, offsetof(Header, geometry), g);
  expectRefused(path, "corrupt");
  g = tinyGeometry();
  g.clients *= 2;
  patch(path, offsetof(Header, geometry), g);
  expectRefused(path, "corrupt");
  patch(path, offsetof(Identity, regionBytes), layoutOf(g).regionBytes);
  expectRefused(path, "truncated");
}

TEST("a publication discipline that this program does not know is refused") {
  const std::string path = abandonedRegion("coherence");
  patch(path, offsetof(Header, birth) + offsetof(BirthLine, coherence), uint32_t{7});
  expectRefused(path, "versionMismatch");
}

TEST("a region of another user is refused unless that is allowed") {
  if (geteuid() != 0) return;  // only root can give a file away
  const std::string path = abandonedRegion("foreign");
  CHECK_EQUAL(chown(path.c_str(), 65534, 65534), 0);
  expectRefused(path, "foreignOwner");
  CHECK_EQUAL(removeDead(path).fault, "notPermitted");
  std::shared_ptr<Region> region;
  CHECK_EQUAL(attach(path, region, true).fault, "none");
}

TEST("attaching to a file with any header gives a typed fault or a sound region") {
  const std::string path = abandonedRegion("fuzz");
  Random random(3);
  std::vector<uint32_t> good(sizeof(Header) / sizeof(uint32_t));
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  CHECK_EQUAL(pread(fd, good.data(), sizeof(Header), 0), sizeof(Header));
  for (uint64_t round = 0; round < 4000 / slowness; round += 1) {
    std::vector<uint32_t> words = good;
    const uint64_t changes = 1 + random.below(3);
    for (uint64_t i = 0; i < changes; i += 1) {
      uint32_t& word = words[random.below((offsetof(Header, topicWishes) + sizeof(TopicWishes)) / sizeof(uint32_t))];
      word = random.oneIn(2) ? static_cast<uint32_t>(random.next()) : word ^ (1U << random.below(32));
    }
    CHECK_EQUAL(pwrite(fd, words.data(), sizeof(Header), 0), sizeof(Header));
    std::shared_ptr<Region> region;
    const Status status = attach(path, region);
    CHECK(status.ok() == (region != nullptr));
    if (region == nullptr) continue;
    CHECK(geometryValid(region->layout().geometry));
    CHECK(region->layout().regionBytes <= region->mapping()->bytes());
    // A client's first calls must work on any contents.
    region->processes();
    topicsOf(*region);
    region->wakeSequencer(sleepsForData);
    region->wakeProcesses(sleepsForAll);
  }
  close(fd);
}

TEST("each field of the header by itself may be anything") {
  const std::string path = abandonedRegion("fields");
  Random random(4);
  for (uint64_t at = 0; at < 384; at += 4) {
    Header good{};
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    CHECK_EQUAL(pread(fd, &good, sizeof(good), 0), sizeof(good));
    for (const uint32_t value : {0U, 1U, 0xffffffffU, 0x80000000U, static_cast<uint32_t>(random.next())}) {
      patch(path, static_cast<off_t>(at), value);
      std::shared_ptr<Region> region;
      const Status status = attach(path, region);
      CHECK(status.ok() == (region != nullptr));
      if (status.ok()) CHECK(geometryValid(region->layout().geometry));
      inspect(path);
    }
    CHECK_EQUAL(pwrite(fd, &good, sizeof(good), 0), sizeof(good));
    close(fd);
  }
}

TEST("the arrays stay where they were laid when the header changes after the attach") {
  const auto region = anonymousRegion(tinyGeometry());
  const uint64_t before = region->layout().payload;
  RawLine::of(region->header().geometry).brokers = 31;
  CHECK_EQUAL(region->layout().payload, before);
  CHECK_EQUAL(region->layout().geometry.brokers, 2);
}

}  // namespace

}  // namespace ringfence::test
