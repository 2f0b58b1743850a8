// The name of a region: only one living region has it, and the last process that owns or serves the region removes it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "region/inspection.h"
#include "log_fixture.h"
#include "traced.h"
#include "region/waiter.h"

namespace ringfence::test {

namespace {

std::string path() { return scratchFolder() + "/region"; }

std::shared_ptr<Region> create() { return namedRegion(path()); }

std::shared_ptr<Region> attach() {
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::attach({path(), "client", false}, region).fault, "none");
  return region;
}

bool there() { return access(path().c_str(), F_OK) == 0; }

TEST("a region whose name is gone cannot be held any more, so that never two bear one name") {
  auto creator = create();
  const auto client = attach();
  creator->close();
  CHECK(!there());
  CHECK_EQUAL(client->hold().fault, "missing");
  CHECK(!client->owner());
  auto next = create();
  CHECK_EQUAL(client->hold().fault, "missing");
  const auto ofNext = attach();
  CHECK_EQUAL(ofNext->hold().fault, "none");
  client->close();
  next->close();
  CHECK(there());
  ofNext->close();
  CHECK(!there());
}

TEST("a region that lost its name is not served any more, and its election lock stays free") {
  auto creator = create();
  const auto client = attach();
  const auto other = attach();
  creator->close();
  Sequencer sequencer(client, TestLog::manual());
  CHECK_EQUAL(sequencer.start().fault, "missing");
  CHECK_EQUAL(serverState(*other), serverDied);
  CHECK(other->tryLockElection());
}

TEST("a process that serves the log keeps its name when the creator closes, and removes it when it closes itself") {
  auto creator = create();
  auto server = attach();
  {
    Sequencer sequencer(server, TestLog::manual());
    CHECK_EQUAL(sequencer.start().fault, "none");
    creator->close();
    CHECK(there());
    const auto client = attach();
    CHECK_EQUAL(serverState(*client), serverServing);
    CHECK_EQUAL(removeDead(path()).fault, "busy");
  }
  CHECK(there());
  server->close();
  CHECK(!there());
}

TEST("the creator leaves the name to a process that is taking its log over") {
  auto creator = create();
  auto server = attach();
  CHECK(server->tryLockElection());
  creator->close();
  CHECK(there());
  CHECK_EQUAL(server->hold().fault, "none");
  server->close();
  CHECK(!there());
}

TEST("the name goes with its owner wherever that one is by then") {
  const std::string folder = scratchFolder();
  CHECK_EQUAL(chdir(folder.c_str()), 0);
  const auto creator = namedRegion("region");
  CHECK(there());
  CHECK_EQUAL(chdir("/"), 0);
  creator->close();
  CHECK(!there());
}

// Attaches in a child, and calls `opened` right after the child has opened the file.
int attachedWhile(const std::function<void()>& opened) {
  Traced child([] {
    Traced::pauseHere();
    std::shared_ptr<Region> region;
    const Status status = Region::attach({path(), "client", false}, region);
    if (!status.ok()) _exit(std::string(status.fault) == "missing" ? 1 : 2);
    _exit(RawLine::of(region->header().topicWishes).reserved[0] == 77 ? 3 : 4);
  });
  child.untilPaused();
  const int before = child.timesOpen(path());
  while (child.timesOpen(path()) == before) CHECK(child.toSystem());
  opened();
  return child.end();
}

TEST("a region whose name goes while it is attached to is missing") {
  auto creator = create();
  CHECK_EQUAL(attachedWhile([&] { creator->close(); }), 1);
}

TEST("a region whose name becomes another's while it is attached to gives way to that one") {
  auto creator = create();
  std::shared_ptr<Region> next;
  const int code = attachedWhile([&] {
    creator->close();
    next = create();
    RawLine::of(next->header().topicWishes).reserved[0] = 77;
  });
  CHECK_EQUAL(code, 3);
}

}  // namespace

}  // namespace ringfence::test
