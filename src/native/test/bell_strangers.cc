// Doorbells by FIFO among strangers: what others have planted in their place, other users, other mounts. And the processes that
// look instead of sleeping.
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "bell_fixture.h"

namespace ringfence::test {

namespace {

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

}  // namespace

}  // namespace ringfence::test
