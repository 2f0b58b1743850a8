// Doorbells by FIFO: who makes and removes them, who may be rung by them, and what happens where none can be.
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "log_fixture.h"
#include "named_fixture.h"
#include "region/bell_fifo.h"
#include "region/inspection.h"
#include "region/waiter.h"
#include "traced.h"

namespace ringfence::test {

namespace {

// The look of a waiter that polls would end a lost wake-up.
constexpr int soonMillis = 60;

std::string freshPath(const std::string& name) { return scratchFolder() + "/" + name; }

std::shared_ptr<Region> attachedTo(const std::string& path, const char* name = "client") {
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::attach({path, name, false}, region).fault, "none");
  return region;
}

struct stat statOf(const std::string& path) {
  struct stat found{};
  CHECK_EQUAL(lstat(path.c_str(), &found), 0);
  return found;
}

bool isThere(const std::string& path) {
  struct stat found{};
  return lstat(path.c_str(), &found) == 0;
}

std::vector<std::string> bellsIn(const std::string& folder) {
  std::vector<std::string> found;
  std::string region;
  uint64_t mark = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (isFifoName(entry.path().string(), region, mark)) found.push_back(entry.path().string());
  }
  return found;
}

uint64_t openDescriptors() {
  uint64_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) count += 1;
  return count;
}

uint64_t threads() {
  uint64_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) count += 1;
  return count;
}

uint32_t unheardOf(const Region& region) { return region.publication().observe<&BellLine::unheard>(region.bell()); }
uint64_t fifoOf(const Region& region) { return region.publication().observe<&SleepLine::fifo>(region.sleep()); }

Rung ring(const Region& ringer, const Region& sleeper) {
  return ringer.wakeProcess(ringer.publication().fullFence(), sleeper.slot(), sleepsForAll);
}

// An event loop that polls, as src/layers/native/region/Doorbell.ts does.
class Loop {
 public:
  explicit Loop(std::shared_ptr<Region> region)
      : region_(std::move(region)), waiter_(region_, [this] { called_.fetch_add(1); }), fd_(waiter_.listen()) {}
  ~Loop() { close(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  bool polls() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  Waiter& waiter() { return waiter_; }
  const Region& region() const { return *region_; }
  uint32_t called() const { return called_.load(); }
  bool readable(int millis) const {
    pollfd polled{fd_, POLLIN, 0};
    return poll(&polled, 1, millis) == 1;
  }
  // Reads the FIFO empty, and says how many bytes there were.
  uint64_t read() const {
    uint8_t bytes[4096];
    uint64_t sum = 0;
    for (ssize_t count = ::read(fd_, bytes, sizeof(bytes)); count > 0; count = ::read(fd_, bytes, sizeof(bytes))) sum += static_cast<uint64_t>(count);
    return sum;
  }
  // Whether it is woken within that time, by its FIFO alone.
  bool isWoken(int millis) {
    while (readable(millis)) {
      read();
      if (waiter_.heard()) return true;
    }
    return false;
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    waiter_.stop();
  }

 private:
  std::shared_ptr<Region> region_;
  std::atomic<uint32_t> called_{0};  // private
  Waiter waiter_;
  int fd_;
};

TEST("a process that polls is rung by one byte for each sleep, without a thread, and an awake one by none") {
  const auto region = namedRegion(freshPath("region"));
  const uint64_t before = threads();
  Loop loop(attachedTo(region->path()));
  CHECK(loop.polls());
  CHECK_EQUAL(threads(), before);
  for (int round = 0; round < 100; round += 1) {
    CHECK_EQUAL(ring(*region, loop.region()), Rung::notAsleep);
    loop.waiter().arm(sleepsForFrames);
    CHECK_EQUAL(ring(*region, loop.region()), Rung::woke);
    CHECK_EQUAL(ring(*region, loop.region()), Rung::notAsleep);
    CHECK(loop.readable(soonMillis));
    CHECK_EQUAL(loop.read(), 1);
    CHECK(loop.waiter().heard());
    CHECK(!loop.waiter().heard());
  }
  CHECK_EQUAL(loop.called(), 0);
}

TEST("a FIFO has the region's mode and group, is reused by the slot's next process, and goes with the region's name") {
  const std::string path = freshPath("region");
  auto region = namedRegion(path);
  CHECK_EQUAL(chmod(path.c_str(), 0660), 0);
  std::string name;
  ino_t inode = 0;
  for (int round = 0; round < 3; round += 1) {
    const auto client = attachedTo(path);
    Loop loop(client);
    name = fifoNameOf(*client);
    CHECK(S_ISFIFO(statOf(name).st_mode));
    CHECK_EQUAL(statOf(name).st_mode & 0777, 0660);
    CHECK_EQUAL(statOf(name).st_gid, statOf(path).st_gid);
    if (round != 0) CHECK_EQUAL(statOf(name).st_ino, inode);
    inode = statOf(name).st_ino;
    CHECK_EQUAL(bellFileAt(name) == BellFile::ofRegion, true);
    loop.close();
    CHECK(isThere(name));
  }
  CHECK_EQUAL(inspect(name).detail, "it is a doorbell of a process of its region");
  CHECK_EQUAL(removeDead(name).fault, "busy");
  region->close();
  CHECK(!isThere(path));
  CHECK(!isThere(name));
}

TEST("a process that takes the slot of one that a ringer has rung is rung by the descriptor that the ringer has") {
  const auto region = namedRegion(freshPath("region"));
  for (int round = 0; round < 5; round += 1) {
    Loop loop(attachedTo(region->path()));
    CHECK_EQUAL(loop.region().slot(), 1);
    loop.waiter().arm(sleepsForAll);
    CHECK_EQUAL(ring(*region, loop.region()), Rung::woke);
    CHECK(loop.isWoken(soonMillis));
  }
}

TEST("a process whose FIFO was removed and made anew is rung by the new one") {
  const auto region = namedRegion(freshPath("region"));
  for (int round = 0; round < 3; round += 1) {
    Loop loop(attachedTo(region->path()));
    loop.waiter().arm(sleepsForAll);
    CHECK_EQUAL(ring(*region, loop.region()), Rung::woke);
    CHECK(loop.isWoken(soonMillis));
    unlink(fifoNameOf(loop.region()).c_str());
  }
}

TEST("a full FIFO counts as rung, and no ringer waits for it") {
  const auto region = namedRegion(freshPath("region"));
  Loop loop(attachedTo(region->path()));
  const uint8_t bytes[4096]{};
  while (write(loop.fd(), bytes, sizeof(bytes)) > 0) continue;
  while (write(loop.fd(), bytes, 1) > 0) continue;
  loop.waiter().arm(sleepsForAll);
  CHECK_EQUAL(ring(*region, loop.region()), Rung::woke);
  CHECK(loop.isWoken(soonMillis));
}

TEST("a ring of a process that was killed ends no ringer by a signal, and says that it was not heard") {
  const auto region = namedRegion(freshPath("region"));
  int said[2];
  CHECK_EQUAL(pipe(said), 0);
  signal(SIGPIPE, SIG_DFL);
  for (int round = 0; round < 3; round += 1) {
    const pid_t sleeper = fork();
    if (sleeper == 0) {
      Loop loop(attachedTo(region->path(), "sleeper"));
      loop.waiter().arm(sleepsForAll);
      for (;;) {
        static_cast<void>(!write(said[1], "", 1));
        loop.isWoken(-1);
        loop.waiter().arm(sleepsForAll);
      }
    }
    char byte = 0;
    CHECK_EQUAL(read(said[0], &byte, 1), 1);
    const auto ringSlot = [&] { return region->wakeProcess(region->publication().fullFence(), 1, sleepsForAll); };
    CHECK_EQUAL(ringSlot(), Rung::woke);  // this process has its FIFO open from here on
    CHECK_EQUAL(read(said[0], &byte, 1), 1);
    until("it sleeps", [&] { return region->publication().observe<&SleepLine::sleeps>(region->process(1).sleep) != awake; });
    kill(sleeper, SIGKILL);
    waitpid(sleeper, nullptr, 0);
    CHECK_EQUAL(ringSlot(), Rung::unheard);
    CHECK_EQUAL(ringSlot(), Rung::notAsleep);
  }
  sigset_t pending;
  sigpending(&pending);
  CHECK(!sigismember(&pending, SIGPIPE));
}

// What stands under the FIFO's name ahead of the process that wants to make it.
void expectRefused(const std::function<void(const std::string&)>& plant) {
  const std::string path = freshPath("region");
  auto region = namedRegion(path);
  auto client = attachedTo(path);
  const std::string name = fifoNameOf(*client);
  plant(name);
  {
    Loop loop(client);
    CHECK(!loop.polls());
    CHECK_EQUAL(fifoOf(*client), 0);
    CHECK_EQUAL(loop.waiter().start().fault, "none");
    loop.waiter().arm(sleepsForAll);
    until("its thread sleeps, and is rung", [&] {
      ring(*region, *client);
      loop.waiter().arm(sleepsForAll);
      return loop.called() != 0;
    });
  }
  client->close();
  region->close();
  std::filesystem::remove_all(name);
}

TEST("what is planted under a FIFO's name is not used: a file, a folder, a link, another user's FIFO") {
  const std::string target = freshPath("target");
  close(open(target.c_str(), O_CREAT | O_WRONLY, 0600));
  expectRefused([](const std::string& name) { close(open(name.c_str(), O_CREAT | O_WRONLY, 0600)); });
  expectRefused([](const std::string& name) { mkdir(name.c_str(), 0700); });
  expectRefused([&](const std::string& name) { static_cast<void>(!symlink(target.c_str(), name.c_str())); });
  const std::string real = freshPath("real");
  CHECK_EQUAL(mkfifo(real.c_str(), 0600), 0);
  expectRefused([&](const std::string& name) { static_cast<void>(!symlink(real.c_str(), name.c_str())); });
  CHECK_EQUAL(statOf(target).st_size, 0);
  if (geteuid() != 0) return;
  expectRefused([](const std::string& name) {
    CHECK_EQUAL(mkfifo(name.c_str(), 0666), 0);
    CHECK_EQUAL(chown(name.c_str(), 12345, 12345), 0);
  });
}

TEST("no FIFO is made beside anonymous memory, and in a folder that may not be written") {
  const auto anonymous = anonymousRegion(tinyGeometry());
  Loop loop(anonymous);
  CHECK(!loop.polls());
  if (geteuid() == 0) return;  // root may write everywhere
  const std::string folder = freshPath("folder");
  mkdir(folder.c_str(), 0700);
  auto region = namedRegion(folder + "/region");
  chmod(folder.c_str(), 0500);
  Loop other(attachedTo(region->path()));
  CHECK(!other.polls());
  chmod(folder.c_str(), 0700);
}

// A ringer that cannot ring: the sleeper is late once, and has a thread from then on.
void expectHelp(Loop& loop, const std::function<Rung()>& ringOnce) {
  loop.waiter().arm(sleepsForAll);
  CHECK_EQUAL(ringOnce(), Rung::unheard);
  CHECK(!loop.readable(0));
  CHECK(!loop.waiter().threaded());
  CHECK(loop.waiter().look());
  CHECK(loop.waiter().threaded());
  uint32_t late = 0;
  for (uint32_t round = 0; round < 20; round += 1) {
    const uint32_t before = loop.called();
    const uint64_t started = nowNanos();
    loop.waiter().arm(sleepsForAll);
    ringOnce();
    until("its thread calls", [&] { return loop.called() != before; });
    // Less than the period of the thread's looks, which would end a lost wake-up.
    if (nowNanos() - started >= 90'000'000) late += 1;
  }
  CHECK(late < 10);
}

TEST("a process that cannot open the FIFO rings a thread, which comes to the aid of the sleeper") {
  const auto region = namedRegion(freshPath("region"));
  Loop loop(attachedTo(region->path()));
  unlink(fifoNameOf(loop.region()).c_str());
  expectHelp(loop, [&] { return ring(*region, loop.region()); });
  CHECK(unheardOf(loop.region()) != 0);
}

// What stands under the FIFO's name once its process polls it.
void expectNotRung(const std::function<void(const std::string&)>& plant) {
  const std::string path = freshPath("region");
  auto region = namedRegion(path);
  auto client = attachedTo(path);
  const std::string name = fifoNameOf(*client);
  {
    Loop loop(client);
    CHECK(loop.polls());
    unlink(name.c_str());
    plant(name);
    expectHelp(loop, [&] { return ring(*region, *client); });
    CHECK_EQUAL(loop.read(), 0);
  }
  client->close();
  region->close();
  std::filesystem::remove_all(name);
}

TEST("a ringer writes to nothing that was put in the place of a FIFO: a file, a folder, a link, another FIFO") {
  const std::string target = freshPath("target");
  close(open(target.c_str(), O_CREAT | O_WRONLY, 0600));
  expectNotRung([&](const std::string& name) { CHECK_EQUAL(link(target.c_str(), name.c_str()), 0); });
  expectNotRung([](const std::string& name) { mkdir(name.c_str(), 0700); });
  expectNotRung([&](const std::string& name) { static_cast<void>(!symlink(target.c_str(), name.c_str())); });
  CHECK_EQUAL(statOf(target).st_size, 0);
  int other = -1;
  expectNotRung([&](const std::string& name) {
    CHECK_EQUAL(mkfifo(name.c_str(), 0600), 0);
    other = open(name.c_str(), O_RDWR | O_NONBLOCK);
  });
  char byte = 0;
  CHECK_EQUAL(read(other, &byte, 1), -1);
  close(other);
}

TEST("two processes do not poll one FIFO that has two names") {
  const auto region = namedRegion(freshPath("region"));
  const auto first = attachedTo(region->path(), "first");
  const auto second = attachedTo(region->path(), "second");
  Loop one(first);
  CHECK(one.polls());
  CHECK_EQUAL(link(fifoNameOf(*first).c_str(), fifoNameOf(*second).c_str()), 0);
  Loop other(second);
  CHECK(!other.polls());
}

TEST("a process without descriptors left for its FIFO has a thread") {
  const auto region = namedRegion(freshPath("region"));
  const auto client = attachedTo(region->path());
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit none{3, limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  Loop loop(client);
  setrlimit(RLIMIT_NOFILE, &limit);
  CHECK(!loop.polls());
  CHECK_EQUAL(fifoOf(*client), 0);
  CHECK_EQUAL(loop.waiter().start().fault, "none");
}

// Runs it in a child, which says by its exit code whether all was so. Checks of a child do not reach its parent.
bool holdsInChild(const std::function<bool()>& all) {
  const pid_t child = fork();
  if (child == 0) _exit(all() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// The region's file alone, mounted into a folder of another file system, as into a container.
bool mountedElsewhere(const std::string& path, const std::string& folder, unsigned long flags) {
  const std::string file = folder + "/region";
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  if (mount("tmpfs", folder.c_str(), "tmpfs", 0, nullptr) != 0) return false;
  close(open(file.c_str(), O_CREAT | O_WRONLY, 0600));
  if (mount("tmpfs", folder.c_str(), "tmpfs", MS_REMOUNT | flags, nullptr) != 0) return false;
  return mount(path.c_str(), file.c_str(), nullptr, MS_BIND, nullptr) == 0;
}

TEST("a process to which the region's file alone is mounted makes no FIFO there, may that folder be written or not") {
  if (geteuid() != 0) return;  // mounts
  const auto region = namedRegion(freshPath("region"));
  const std::string folder = freshPath("elsewhere");
  mkdir(folder.c_str(), 0700);
  for (const unsigned long flags : {0UL, static_cast<unsigned long>(MS_RDONLY)}) {
    CHECK(holdsInChild([&] {
      if (!mountedElsewhere(region->path(), folder, flags)) return true;  // no such container may be made here
      std::shared_ptr<Region> client;
      if (!Region::attach({folder + "/region", "client", false}, client).ok()) return false;
      Loop loop(client);
      return !loop.polls() && bellsIn(folder).empty() && loop.waiter().start().ok();
    }));
  }
}

TEST("a FIFO is polled and rung where no program may be run and no device opened") {
  if (geteuid() != 0) return;  // mounts
  const std::string folder = freshPath("noexec");
  mkdir(folder.c_str(), 0700);
  CHECK(holdsInChild([&] {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return true;
    if (mount("tmpfs", folder.c_str(), "tmpfs", MS_NOEXEC | MS_NODEV | MS_NOSUID, nullptr) != 0) return true;
    const auto region = namedRegion(folder + "/region");
    Loop loop(attachedTo(region->path()));
    loop.waiter().arm(sleepsForAll);
    return loop.polls() && ring(*region, loop.region()) == Rung::woke && loop.isWoken(soonMillis);
  }));
}

constexpr uid_t stranger = 12345;

// As another user of the region's group, in that slot. The owner is armed here: the child has only a copy of its waiter.
bool strangerRings(const std::string& path, Loop& owner, uint32_t slot, bool polls) {
  owner.waiter().arm(sleepsForAll);
  return holdsInChild([&] {
    std::shared_ptr<Region> client;
    if (setgroups(0, nullptr) != 0 || setgid(stranger) != 0 || setuid(stranger) != 0) return false;
    if (!Region::attach({path, "stranger", true}, client).ok() || client->slot() != slot) return false;
    Loop loop(client);
    if (loop.polls() != polls || bellsIn(path.substr(0, path.rfind('/'))).size() != (polls ? 2 : 1)) return false;
    return ring(*client, owner.region()) == Rung::woke;
  });
}

TEST("another user of the region's group rings its owner, and polls the FIFO of its slot if the owner's user has made it") {
  if (geteuid() != 0) return;  // takes another user's name
  const std::string folder = freshPath("shared");
  mkdir(folder.c_str(), 0777);
  chmod(folder.c_str(), 01777);
  for (std::filesystem::path up = folder; up != up.root_path(); up = up.parent_path()) {
    if (up != folder) chmod(up.c_str(), statOf(up).st_mode | 0011);
  }
  const std::string path = folder + "/region";
  const auto region = namedRegion(path);
  CHECK_EQUAL(chown(path.c_str(), 0, stranger), 0);
  CHECK_EQUAL(chmod(path.c_str(), 0660), 0);
  Loop owner(region);
  CHECK(strangerRings(path, owner, 1, false));
  CHECK(owner.isWoken(soonMillis));
  { Loop former(attachedTo(path)); }
  CHECK(strangerRings(path, owner, 1, true));
  CHECK(owner.isWoken(soonMillis));
  chmod(fifoNameOf(*region).c_str(), 0600);
  std::shared_ptr<Region> client;
  CHECK(!strangerRings(path, owner, 1, true));
  CHECK(owner.waiter().look());
  CHECK(owner.waiter().threaded());
}

TEST("a process that was killed while it looked holds up no other that wants to look") {
  const auto region = namedRegion(freshPath("region"));
  int said[2];
  CHECK_EQUAL(pipe(said), 0);
  const pid_t looker = fork();
  if (looker == 0) {
    const auto client = attachedTo(region->path(), "looker");
    static_cast<void>(!write(said[1], client->beginLook(0) ? "y" : "n", 1));
    for (;;) pause();
  }
  char does = 0;
  CHECK_EQUAL(read(said[0], &does, 1), 1);
  CHECK_EQUAL(does, 'y');
  CHECK(!region->beginLook(0));
  CHECK(region->beginLook(1));
  region->endLook();
  kill(looker, SIGKILL);
  waitpid(looker, nullptr, 0);
  CHECK(region->beginLook(0));
  CHECK(!attachedTo(region->path())->beginLook(0));
  region->endLook();
  CHECK(attachedTo(region->path())->beginLook(0));
}

TEST("a process without descriptors left rings the thread, and the FIFO once it has one again") {
  const auto region = namedRegion(freshPath("region"));
  Loop loop(attachedTo(region->path()));
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit none{3, limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  expectHelp(loop, [&] { return ring(*region, loop.region()); });
  setrlimit(RLIMIT_NOFILE, &limit);
  loop.waiter().arm(sleepsForAll);
  CHECK_EQUAL(ring(*region, loop.region()), Rung::woke);
  CHECK(loop.isWoken(soonMillis));
}

TEST("a byte that a stranger has read is late by a look, and no more") {
  const auto region = namedRegion(freshPath("region"));
  Loop loop(attachedTo(region->path()));
  loop.waiter().arm(sleepsForAll);
  CHECK_EQUAL(ring(*region, loop.region()), Rung::woke);
  CHECK_EQUAL(loop.read(), 1);  // by the stranger
  CHECK(!loop.isWoken(0));
  CHECK(loop.waiter().look());
  CHECK(!loop.waiter().threaded());
}

TEST("a process keeps no descriptor of a FIFO whose process is gone") {
  const auto region = namedRegion(freshPath("region"));
  Loop ringer(region);
  const uint64_t before = openDescriptors();
  {
    std::vector<std::unique_ptr<Loop>> sleepers;
    for (int i = 0; i < 5; i += 1) sleepers.push_back(std::make_unique<Loop>(attachedTo(region->path())));
    ringer.waiter().look();
    for (const auto& sleeper : sleepers) {
      sleeper->waiter().arm(sleepsForAll);
      CHECK_EQUAL(ring(*region, sleeper->region()), Rung::woke);
    }
  }
  CHECK_EQUAL(openDescriptors(), before + 5);
  ringer.waiter().look();
  CHECK_EQUAL(openDescriptors(), before);
}

TEST("five hundred attachments leave descriptors and threads as they were") {
  const std::string path = freshPath("region");
  const auto region = namedRegion(path);
  const auto round = [&] {
    const auto first = attachedTo(path, "first");
    const auto second = attachedTo(path, "second");
    Loop one(first);
    Loop other(second);
    CHECK(one.polls() && other.polls());
    one.waiter().arm(sleepsForAll);
    CHECK_EQUAL(ring(*second, *first), Rung::woke);
    CHECK_EQUAL(ring(*region, *first), Rung::notAsleep);
    CHECK(one.isWoken(soonMillis));
    one.close();
    other.close();
    first->close();
    second->close();
  };
  round();
  const uint64_t descriptors = openDescriptors();
  const uint64_t before = threads();
  for (uint64_t i = 0; i < 500; i += 1) round();
  CHECK_EQUAL(openDescriptors(), descriptors);
  CHECK_EQUAL(threads(), before);
  CHECK_EQUAL(bellsIn(scratchFolder()).size(), 2);
}

// All that is left after a kill is explained, and removed by what doctor does.
void expectExplained(const std::string& folder, const std::string& path) {
  for (const std::string& bell : bellsIn(folder)) {
    const BellFile file = bellFileAt(bell);
    CHECK(file != BellFile::none);
    CHECK_EQUAL(file == BellFile::ofRegion, isThere(path));
    CHECK_EQUAL(removeDead(bell).fault, file == BellFile::ofRegion ? "busy" : "none");
  }
  std::vector<std::string> rest;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) rest.push_back(entry.path().string());
  for (const std::string& file : rest) {
    // The FIFOs go with their region.
    if (isThere(file) && !S_ISFIFO(statOf(file).st_mode)) CHECK_EQUAL(removeDead(file, true).fault, "none");
  }
  CHECK(std::filesystem::is_empty(folder));
}

TEST_OF_ONE_THREAD("a process killed at any system call of a doorbell's life leaves no FIFO that is not explained and removed") {
  uint32_t leftBehind = 0;
  uint32_t kills = 0;
  for (uint32_t calls = 0;; calls += 1) {
    const std::string folder = freshPath("folder" + std::to_string(calls));
    mkdir(folder.c_str(), 0700);
    const std::string path = folder + "/region";
    Traced victim([&path] {
      Traced::pauseHere();
      {
        const auto region = namedRegion(path);
        Loop owner(region);
        const auto client = attachedTo(path);
        Loop loop(client);
        loop.waiter().arm(sleepsForAll);
        ring(*region, *client);
        loop.close();
        client->close();
        owner.close();
        region->close();
      }
      Traced::pauseHere();
    });
    victim.untilPaused();
    bool over = false;
    for (uint32_t i = 0; i < calls && !over; i += 1) over = !victim.toSystem() || (!isThere(path) && bellsIn(folder).empty() && i > calls);
    victim.kill();
    kills += 1;
    if (!isThere(path) && !bellsIn(folder).empty()) leftBehind += 1;
    expectExplained(folder, path);
    std::filesystem::remove_all(folder);
    if (over || calls > 3000) break;
  }
  CHECK(kills > 100);
  CHECK(leftBehind != 0);
}

TEST("the creation of a region removes the FIFOs that former regions of its path have left, and none of its own") {
  const std::string path = freshPath("region");
  const std::string left = path + ".bell-00112233445566ff-3";
  const std::string other = freshPath("other.bell-00112233445566ff-3");
  for (const std::string& name : {left, other}) CHECK_EQUAL(mkfifo(name.c_str(), 0600), 0);
  CHECK(bellFileAt(left) == BellFile::abandoned);
  const auto region = namedRegion(path);
  CHECK(!isThere(left));
  CHECK(isThere(other));
  const auto client = attachedTo(path);
  Loop loop(client);
  CHECK(loop.polls());
  removeAbandonedFifos(path);
  CHECK(isThere(fifoNameOf(*client)));
}

TEST("a process that makes its FIFO while its region's name goes leaves none") {
  const std::string path = freshPath("region");
  const auto region = namedRegion(path);
  const auto client = attachedTo(path);
  region->close();
  Loop loop(client);
  CHECK(!loop.polls());
  CHECK_EQUAL(bellsIn(scratchFolder()).size(), 0);
}

TEST("only names of the form of a FIFO count as one") {
  std::string region;
  uint64_t mark = 0;
  CHECK(isFifoName("/dev/shm/ringfence-a.bell-00112233445566ff-12", region, mark));
  CHECK_EQUAL(region, "/dev/shm/ringfence-a");
  CHECK_EQUAL(mark, 0x00112233445566ffULL);
  CHECK(isFifoName("/a.bell-b.bell-00112233445566ff-0", region, mark));
  CHECK_EQUAL(region, "/a.bell-b");
  for (const char* name : {"/a.bell-00112233445566f-12", "/a.bell-00112233445566ff-", "/a.bell-00112233445566ff-12345", "/a.bell-00112233445566FF-1",
                           "/a.bell-00112233445566ff_1", "/a.bell-00112233445566ff-x", ".bell-00112233445566ff-1", "/a"}) {
    CHECK(!isFifoName(name, region, mark));
  }
}

}  // namespace

}  // namespace ringfence::test
