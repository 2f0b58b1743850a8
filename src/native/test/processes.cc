// The process table, and the detection of a process's death by its byte lock, which the system frees.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "region/inspection.h"
#include "log_fixture.h"
#include "region/waiter.h"
#include "scratch_line.h"

namespace ringfence::test {

namespace {

std::string pathOf(const char* name) { return scratchFolder() + "/" + name; }

std::shared_ptr<Region> create(const std::string& path) {
  CreateOptions options;
  options.path = path;
  options.geometry = tinyGeometry();
  options.processName = "creator";
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::create(options, nullptr, region).fault, "none");
  return region;
}

std::shared_ptr<Region> attach(const std::string& path, const char* name = "client") {
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::attach({path, name, false}, region).fault, "none");
  return region;
}

// A process that does its work and then stays until it is killed.
class Child {
 public:
  explicit Child(const std::function<void(int)>& work) {
    int ends[2];
    CHECK_EQUAL(pipe2(ends, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      // Restore default signals: shells make background programs ignore some, and a child inherits that.
      for (const int signal : {SIGTERM, SIGABRT, SIGQUIT, SIGINT, SIGHUP}) ::signal(signal, SIG_DFL);
      work(ends[1]);
      for (;;) pause();
    }
    close(ends[1]);
    said_ = ends[0];
  }
  ~Child() {
    kill(SIGKILL);
    close(said_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void kill(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    if (signal != SIGKILL) return;
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  void wait() {
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }
  // What the child wrote: a slot and a generation.
  std::pair<uint32_t, uint64_t> heard() {
    uint64_t words[2] = {};
    CHECK_EQUAL(read(said_, words, sizeof(words)), sizeof(words));
    return {static_cast<uint32_t>(words[0]), words[1]};
  }

 private:
  pid_t pid_ = 0;
  int said_ = -1;
};

void say(int to, uint64_t slot, uint64_t generation) {
  const uint64_t words[2] = {slot, generation};
  if (write(to, words, sizeof(words)) != sizeof(words)) _exit(3);
}

std::function<void(int)> attaching(const std::string& path) {
  return [path](int to) {
    std::shared_ptr<Region> region;
    if (!Region::attach({path, "child", false}, region).ok()) _exit(2);
    say(to, region->slot(), region->generation());
    static std::shared_ptr<Region> kept;
    kept = region;
  };
}

TEST("a process is alive from its attachment to its kill, by any signal that ends it") {
  const std::string path = pathOf("region");
  const auto region = create(path);
  for (const int signal : {SIGKILL, SIGTERM, SIGABRT, SIGQUIT}) {
    Child child(attaching(path));
    const auto [slot, generation] = child.heard();
    CHECK(region->processAlive(slot, generation));
    CHECK(!region->processAlive(slot, generation + 1));
    child.kill(signal);
    if (signal != SIGKILL) child.wait();
    CHECK(!region->processAlive(slot, generation));
  }
}

TEST("a process that leaves by _exit, without a word, is seen to be dead") {
  const std::string path = pathOf("region");
  const auto region = create(path);
  Child child([&path](int to) {
    attaching(path)(to);
    _exit(0);
  });
  const auto [slot, generation] = child.heard();
  child.wait();
  CHECK(!region->processAlive(slot, generation));
}

TEST("a stopped process is not dead") {
  const std::string path = pathOf("region");
  const auto region = create(path);
  Child child(attaching(path));
  const auto [slot, generation] = child.heard();
  child.kill(SIGSTOP);
  int status = 0;
  waitpid(child.pid(), &status, WUNTRACED);
  CHECK(WIFSTOPPED(status));
  CHECK(region->processAlive(slot, generation));
  child.kill(SIGCONT);
  CHECK(region->processAlive(slot, generation));
}

TEST("the lock does not outlive its process in a program that it started") {
  const std::string path = pathOf("region");
  const auto region = create(path);
  Child child([&path](int to) {
    attaching(path)(to);
    if (fork() == 0) {
      execl("/bin/sleep", "sleep", "5", nullptr);
      _exit(1);
    }
    usleep(200'000);  // until it runs the other program
    _exit(0);
  });
  const auto [slot, generation] = child.heard();
  child.wait();
  CHECK(!region->processAlive(slot, generation));
}

TEST("a slot is taken again under a new generation, and the old identity stays dead") {
  const std::string path = pathOf("region");
  const auto region = create(path);
  uint32_t slot = 0;
  uint64_t former = 0;
  for (int round = 0; round < 20; round += 1) {
    Child child(attaching(path));
    const auto [at, generation] = child.heard();
    if (round > 0) CHECK_EQUAL(at, slot);
    CHECK_EQUAL(generation, former + 1);
    CHECK(!region->processAlive(at, former));
    slot = at;
    former = generation;
  }
}

TEST("two attachments of one process are two processes to the others") {
  const auto region = create(pathOf("region"));
  auto first = attach(region->path());
  const auto second = attach(region->path());
  CHECK(first->slot() != second->slot());
  CHECK(second->processAlive(first->slot(), first->generation()));
  CHECK(first->processAlive(first->slot(), first->generation()));
  const uint32_t slot = first->slot();
  const uint64_t generation = first->generation();
  first->close();
  CHECK(!second->processAlive(slot, generation));
  CHECK(!first->processAlive(slot, generation));
}

TEST("a full process table is a typed fault") {
  const auto region = create(pathOf("region"));
  std::vector<std::shared_ptr<Region>> clients;
  for (uint32_t i = 1; i < tinyGeometry().processes; i += 1) clients.push_back(attach(region->path()));
  std::shared_ptr<Region> extra;
  CHECK_EQUAL(Region::attach({region->path(), "extra", false}, extra).fault, "full");
  clients.pop_back();
  CHECK_EQUAL(Region::attach({region->path(), "extra", false}, extra).fault, "none");
}

TEST("the table tells who lives, by name and pid") {
  const auto region = create(pathOf("region"));
  const auto client = attach(region->path(), "a name that is longer than the thirty-one bytes there are");
  const std::vector<ProcessView> views = region->processes();
  CHECK_EQUAL(views.size(), 2);
  CHECK_EQUAL(views[1].name, "a name that is longer than the ");
  CHECK_EQUAL(views[1].pid.pid, getpid());
  CHECK(views[0].alive && views[1].alive);
}

TEST("a region is removed when its creator is dead, and only then") {
  const std::string path = pathOf("region");
  Child creator([&path](int to) {
    static std::shared_ptr<Region> kept = create(path);
    say(to, kept->slot(), kept->generation());
  });
  creator.heard();
  CHECK_EQUAL(removeDead(path).fault, "busy");
  CHECK_EQUAL(access(path.c_str(), F_OK), 0);
  creator.kill(SIGKILL);
  CHECK_EQUAL(removeDead(path).fault, "none");
  CHECK(access(path.c_str(), F_OK) != 0);
  CHECK_EQUAL(removeDead(path).fault, "none");
}

TEST("a client that attaches to a dead server's region does not keep the next server from starting") {
  const std::string path = pathOf("region");
  Child creator([&path](int to) {
    static std::shared_ptr<Region> kept = create(path);
    say(to, kept->slot(), kept->generation());
  });
  creator.heard();
  creator.kill(SIGKILL);
  const auto late = attach(path);
  CHECK_EQUAL(removeDead(path).fault, "none");
  create(path);
}

TEST("the creator's slot stays free when the creator is dead, also when all others are taken") {
  const std::string path = pathOf("region");
  Child creator([&path](int to) {
    static std::shared_ptr<Region> kept = create(path);
    say(to, kept->slot(), kept->generation());
  });
  const auto [creatorSlot, generation] = creator.heard();
  creator.kill(SIGKILL);
  std::vector<std::shared_ptr<Region>> clients;
  clients.push_back(attach(path));
  std::shared_ptr<Region> again;
  CHECK_EQUAL(Region::reattach(*clients[0], "again", again).fault, "none");
  clients.push_back(again);
  while (clients.size() + 1 < tinyGeometry().processes) clients.push_back(attach(path));
  for (const auto& client : clients) CHECK(client->slot() != creatorSlot);
  std::shared_ptr<Region> extra;
  CHECK_EQUAL(Region::attach({path, "extra", false}, extra).fault, "full");
  CHECK_EQUAL(Region::reattach(*clients[0], "extra", extra).fault, "full");
  CHECK(!clients[0]->processAlive(creatorSlot, generation));
  CHECK_EQUAL(removeDead(path).fault, "none");
}

TEST("a region that another process than its creator serves is not removed from under it") {
  const std::string path = pathOf("region");
  Child creator([&path](int to) {
    static std::shared_ptr<Region> kept = create(path);
    say(to, kept->slot(), kept->generation());
  });
  creator.heard();
  const auto server = attach(path);
  Sequencer sequencer(server, TestLog::manual());
  CHECK_EQUAL(sequencer.start().fault, "none");
  creator.kill(SIGKILL);
  CHECK_EQUAL(removeDead(path).fault, "busy");
  sequencer.stop();
}

TEST("a region that another process than its creator holds outlives its creator, and is removed when that one is dead") {
  const std::string path = pathOf("region");
  Child creator([&path](int to) {
    static std::shared_ptr<Region> kept = create(path);
    say(to, kept->slot(), kept->generation());
  });
  creator.heard();
  Child keeper([&path](int to) {
    static std::shared_ptr<Region> kept = attach(path);
    if (!kept->hold().ok()) _exit(2);
    say(to, kept->slot(), kept->generation());
  });
  keeper.heard();
  creator.kill(SIGKILL);
  CHECK_EQUAL(removeDead(path).fault, "busy");
  CHECK(inspect(path).held);
  attach(path);
  keeper.kill(SIGKILL);
  CHECK(!inspect(path).held);
  CHECK_EQUAL(removeDead(path).fault, "none");
  CHECK(access(path.c_str(), F_OK) != 0);
}

TEST("the name of a region goes with the last of its holders, in each order in which they leave") {
  const std::string path = pathOf("region");
  for (const bool creatorFirst : {true, false}) {
    auto creator = create(path);
    auto keeper = attach(path);
    const auto client = attach(path);
    CHECK_EQUAL(keeper->hold().fault, "none");
    CHECK_EQUAL(keeper->hold().fault, "none");
    (creatorFirst ? creator : keeper)->close();
    CHECK_EQUAL(access(path.c_str(), F_OK), 0);
    CHECK_EQUAL(removeDead(path).fault, "busy");
    (creatorFirst ? keeper : creator)->close();
    CHECK(access(path.c_str(), F_OK) != 0);
  }
}

TEST("who only attaches does not hold a region") {
  const std::string path = pathOf("region");
  auto creator = create(path);
  const auto client = attach(path);
  creator->close();
  CHECK(access(path.c_str(), F_OK) != 0);
}

TEST("what is no region is never removed") {
  const std::string path = pathOf("precious");
  const int fd = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  CHECK_EQUAL(write(fd, "do not lose this", 16), 16);
  close(fd);
  CHECK_EQUAL(removeDead(path).fault, "notRegion");
  CHECK_EQUAL(access(path.c_str(), F_OK), 0);
}

TEST("an owner that closes late does not take its successor's name away") {
  const std::string path = pathOf("region");
  auto first = create(path);
  CHECK_EQUAL(unlink(path.c_str()), 0);
  const auto second = create(path);
  first->close();
  CHECK_EQUAL(access(path.c_str(), F_OK), 0);
}

TEST("a forked copy of the owner does not take the region's name away when it ends") {
  const std::string path = pathOf("region");
  auto region = create(path);
  const pid_t child = fork();
  if (child == 0) {
    region.reset();
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  CHECK_EQUAL(access(path.c_str(), F_OK), 0);
}

TEST("of two that start the sequencer at a time, one does") {
  const std::string path = pathOf("region");
  const auto region = create(path);
  int won = 0;
  pid_t children[6];
  for (pid_t& child : children) {
    child = fork();
    if (child != 0) continue;
    const auto mine = attach(path);
    while (region->publication().observe<&Scratch::count>(scratch(*region, 0)) == 0) continue;
    Sequencer sequencer(mine, TestLog::manual());
    const bool started = sequencer.start().ok();
    usleep(200'000);
    _exit(started ? 1 : 0);
  }
  usleep(50'000);
  region->publication().on(Player(), scratch(*region, 0)).publish<&Scratch::count>(1);
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    won += WEXITSTATUS(status);
  }
  CHECK_EQUAL(won, 1);
}

TEST("what clients see of the server: serving, stopped in good order, or dead") {
  const std::string path = pathOf("region");
  const auto region = create(path);
  CHECK_EQUAL(serverState(*region), serverUnknown);
  Child server([&path](int to) {
    static auto kept = attach(path);
    static Sequencer sequencer(kept, TestLog::manual());
    if (!sequencer.start().ok()) _exit(2);
    say(to, 0, 0);
  });
  server.heard();
  CHECK_EQUAL(serverState(*region), serverServing);
  server.kill(SIGSTOP);
  CHECK_EQUAL(serverState(*region), serverServing);
  server.kill(SIGKILL);
  CHECK_EQUAL(serverState(*region), serverDied);

  TestLog other(tinyGeometry());
  other.sequencer().stop();
  CHECK_EQUAL(serverState(*other.region()), serverStopped);
}

}  // namespace

}  // namespace ringfence::test
