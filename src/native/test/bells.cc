// Doorbells by FIFO: who makes and removes them, and what happens where none can be rung.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "bell_fixture.h"
#include "traced.h"

namespace ringfence::test {

namespace {

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

TEST("a process that cannot open the FIFO rings a thread, which comes to the aid of the sleeper") {
  const auto region = namedRegion(freshPath("region"));
  Loop loop(attachedTo(region->path()));
  unlink(fifoNameOf(loop.region()).c_str());
  expectHelp(loop, [&] { return ring(*region, loop.region()); });
  CHECK(unheardOf(loop.region()) != 0);
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
