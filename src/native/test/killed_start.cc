// A server that is killed while it begins to serve, between any two of its writes.
#include <cstring>

#include "region/epochs.h"
#include "region/inspection.h"
#include "log_fixture.h"
#include "traced.h"
#include "region/waiter.h"

namespace ringfence::test {

namespace {

// The words that a server writes at its start.
struct Begun {
  BlockHead head;
  ServiceLine service;
};

Begun begunIn(const Region& region) {
  const Publication& p = region.publication();
  return {p.copy(region.blockHead(1).head), p.copy(region.blockHead(1).service)};
}

std::shared_ptr<Region> attach(const std::string& path) {
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::attach({path, "client", false}, region).fault, "none");
  return region;
}

// Creates the region in a server that is killed after that write of its start. False when its start has fewer writes.
bool killedBehind(uint32_t writes, const std::string& path, std::shared_ptr<Region>& client) {
  Traced server([&path] {
    const auto region = namedRegion(path);
    Sequencer sequencer(region, TestLog::manual());
    Traced::pauseHere();
    if (!sequencer.start().ok()) _exit(2);
    Traced::pauseHere();
  });
  server.untilPaused();
  client = attach(path);
  Begun before = begunIn(*client);
  for (uint32_t written = 0; written < writes;) {
    if (!server.step()) return false;
    const Begun now = begunIn(*client);
    if (std::memcmp(&before, &now, sizeof(now)) != 0) written += 1;
    before = now;
  }
  server.kill();
  return true;
}

// Expects that a batch reaches a reader that was attached before the log was served.
void expectServed(const std::shared_ptr<Region>& server, IndexReader& reader) {
  TestLog log(server, TestLog::manual());
  Publishing publishing(log.open(0));
  CHECK(publishing.publish(0, 0));
  log.settle();
  BatchView view{};
  CHECK_EQUAL(reader.poll(&view, 1), 1);
  CHECK_EQUAL(view.sessionId, publishing.session());
}

TEST_OF_ONE_THREAD("a server killed between any two writes of its start is told to its clients as dead, and another can serve") {
  if (slowness != 1) skip("it kills at the same writes without a sanitizer, and steps through fewer instructions");
  uint32_t writes = 0;
  for (bool served = false; !served; writes += 1) {
    const std::string path = scratchFolder() + "/region" + std::to_string(writes);
    std::shared_ptr<Region> client;
    if (!killedBehind(writes, path, client)) break;
    CHECK_EQUAL(serverState(*client), serverDied);
    TopicView topic;
    Claim claim;
    CHECK_EQUAL(declareTopic(*client, "t", orderSession, 1, topic).fault, "none");
    CHECK_EQUAL(claimReader(*client, {0, 1}, "early", claim).fault, "none");
    IndexReader reader(client, 0, claim);
    CHECK_EQUAL(reader.attach(From::start, 0).fault, "none");
    served = logRecoverable(headsOf(*client));
    CHECK_EQUAL(inspect(path).recoverable ? 1 : 0, served ? 1 : 0);
    if (served) CHECK_EQUAL(removeDead(path).fault, "recoverable");
    const auto next = attach(path);
    expectServed(next, reader);
    CHECK_EQUAL(serverState(*client), serverStopped);
    CHECK_EQUAL(removeDead(path).fault, "busy");
  }
  CHECK(writes >= 6);
}

}  // namespace

}  // namespace ringfence::test
