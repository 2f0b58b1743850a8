// Doorbells: a sleeper is rung once, and not again before it sleeps again. Dead processes, those that left and those
// that wait for something else are not rung. The bells count the rings, and so the system calls.
#include "actor_process.h"
#include "region/futex.h"
#include "ring_fixture.h"
#include "region/waiter.h"

namespace ringfence::test {

namespace {

constexpr uint32_t crowd = 30;

Geometry crowdGeometry() {
  Geometry g = ringGeometry();
  g.processes = crowd + 4;
  g.ringReaders = crowd + 2;
  return g;
}

std::shared_ptr<Region> crowdRegion() {
  CreateOptions options;
  options.path = scratchFolder() + "/region";
  options.geometry = crowdGeometry();
  options.processName = "owner";
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::create(options, nullptr, region).fault, "none");
  return region;
}

uint32_t sleepsOf(const Region& region, uint32_t slot) {
  return region.publication().observe<&SleepLine::sleeps>(region.process(slot).sleep);
}

uint32_t rings(const Region& region, uint32_t slot) {
  return region.publication().observe<&BellLine::bell>(region.process(slot).bell);
}

uint64_t allRings(const Region& region) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < region.layout().geometry.processes; i += 1) sum += rings(region, i);
  return sum;
}

void goToSleep(const Region& region, uint32_t reasons) {
  region.sleepFor(reasons);
  static_cast<void>(region.publication().fullFence());
}

void publishSome(RingWriter& writer, uint64_t frames) {
  for (uint64_t number = 0; number < frames; number += 1) {
    CHECK(append(writer, number));
    writer.publish();
  }
}

// Sleeps for ever and for all reasons, as a process may between two turns of its event loop.
[[noreturn]] void sleepForEver(const Region& region) {
  const Publication& p = region.publication();
  for (;;) {
    const uint32_t heard = p.observe<&BellLine::bell>(region.bell());
    goToSleep(region, sleepsForAll);
    futexWait(p.futexWord<&BellLine::bell>(region.bell()), heard, -1);
  }
}

ACTOR("sleeping ring reader") {
  const auto region = attachAs("sleeper", arguments[0]);
  const auto reader = readerOf(region);
  sleepForEver(*region);
}

ACTOR("sleeping server") {
  const auto region = attachAs("server", arguments[0]);
  Sequencer sequencer(region, TestLog::threaded());
  if (!sequencer.start().ok()) return 3;
  for (;;) pauseBriefly();
}

// Processes that sleep until they are killed.
class Crowd {
 public:
  explicit Crowd(const Region& region) {
    for (uint32_t i = 0; i < crowd; i += 1) {
      members_.push_back(std::make_unique<Process>("sleeping ring reader", region.path(), i));
      until("it sleeps", [&] { return sleepsOf(region, i + 1) != awake; });
    }
    // Each attaching reader wakes the others: wait until they sleep again.
    for (uint32_t i = 0; i < crowd; i += 1) until("it sleeps", [&] { return sleepsOf(region, i + 1) != awake; });
  }
  void kill() { members_.clear(); }

 private:
  std::vector<std::unique_ptr<Process>> members_;
};

TEST("thirty processes killed in their sleep are rung once each by a ring, and none of its readers counts any more") {
  const auto region = crowdRegion();
  auto writer = writerOf(region);
  Crowd sleepers(*region);
  sleepers.kill();
  const uint64_t before = allRings(*region);
  publishSome(*writer, 1000);
  CHECK_EQUAL(allRings(*region) - before, crowd);
  for (uint32_t i = 0; i < crowd; i += 1) CHECK_EQUAL(activeReader(*region, 0, i).generation, 0);
}

TEST("thirty processes killed in their sleep are rung once each by a process that rings all, for any of the reasons to sleep") {
  const auto region = crowdRegion();
  const auto writer = writerOf(region);
  Crowd sleepers(*region);
  sleepers.kill();
  const uint64_t before = allRings(*region);
  for (int i = 0; i < 100; i += 1) {
    for (const uint32_t reasons : {sleepsForData, sleepsForCursor, sleepsForRoom, sleepsForAll}) region->wakeProcesses(reasons);
  }
  CHECK_EQUAL(allRings(*region) - before, crowd);
}

TEST("those who live are rung on among the dead, and so is a process that comes into a dead one's slot") {
  const auto region = crowdRegion();
  auto writer = writerOf(region);
  Crowd sleepers(*region);
  const auto other = attachedAgain(*region, "other");
  auto reader = readerOf(other);
  sleepers.kill();
  publishSome(*writer, 10);
  RingFollowing(*reader).walk();
  for (int round = 0; round < 3; round += 1) {
    goToSleep(*other, sleepsForFrames);
    const uint32_t before = rings(*region, other->slot());
    publishSome(*writer, 2);
    CHECK_EQUAL(rings(*region, other->slot()) - before, 1);
  }
  const auto next = attachedAgain(*region, "next");
  CHECK_EQUAL(next->slot(), 1);
  auto nextReader = readerOf(next);
  goToSleep(*next, sleepsForFrames);
  const uint32_t before = rings(*region, 1);
  publishSome(*writer, 2);
  CHECK_EQUAL(rings(*region, 1) - before, 1);
}

TEST("a killed server is rung once, however much is published") {
  const auto region = crowdRegion();
  Process server("sleeping server", region->path(), 0);
  const auto& sleep = region->blockHead(1).sleep;
  until("it sleeps", [&] { return region->publication().observe<&SleepLine::sleeps>(sleep) != awake; });
  server.kill();
  const auto& bell = region->blockHead(1).bell;
  const uint32_t before = region->publication().observe<&BellLine::bell>(bell);
  for (int i = 0; i < 1000; i += 1) region->wakeSequencer(sleepsForData | sleepsForRoom);
  CHECK(region->publication().observe<&BellLine::bell>(bell) - before <= 1);  // none, if it was just about to sleep again
}

TEST("a process that has closed its reader is not rung, and one that was evicted is, also once it has come back") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  const auto leaving = attachedAgain(*region, "leaving");
  const auto evicted = attachedAgain(*region, "evicted");
  auto left = readerOf(leaving);
  auto slow = readerOf(evicted);
  const auto rung = [&](const Region& who) {
    goToSleep(who, sleepsForFrames);
    const uint32_t before = rings(*region, who.slot());
    publishSome(*writer, 3);
    return rings(*region, who.slot()) - before;
  };
  CHECK_EQUAL(rung(*leaving), 1);
  left->detach();
  RingFollowing following(*slow);
  for (int i = 0; i < 50; i += 1) {
    CHECK(following.walk());
    CHECK_EQUAL(rung(*leaving), 0);
  }
  while (writer->slowestReader() >= 0) CHECK(writer->evictSlowest());
  CHECK_EQUAL(rung(*evicted), 1);
  uint64_t from = 0;
  uint64_t to = 0;
  CHECK(slow->evicted(from, to));
  slow->rejoin();
  CHECK_EQUAL(rung(*evicted), 1);
}

TEST("the log's commits do not ring those who wait for a ring, nor a ring's frames those who wait for the log") {
  TestLog log(ringGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  const auto& region = log.region();
  const auto reading = attachedAgain(*region, "reads a ring");
  const auto following = attachedAgain(*region, "reads the log");
  auto writer = writerOf(region);
  auto reader = readerOf(reading);
  auto other = readerOf(following);
  goToSleep(*reading, sleepsForFrames);
  goToSleep(*following, sleepsForData);
  const uint32_t atReading = rings(*region, reading->slot());
  const uint32_t atFollowing = rings(*region, following->slot());
  publishSome(*writer, 3);
  CHECK_EQUAL(rings(*region, reading->slot()) - atReading, 1);
  CHECK_EQUAL(rings(*region, following->slot()), atFollowing);
  goToSleep(*reading, sleepsForFrames);
  CHECK(publishing.publish(0, 0));
  log.settle();
  CHECK_EQUAL(rings(*region, reading->slot()) - atReading, 1);
  CHECK_EQUAL(rings(*region, following->slot()) - atFollowing, 1);
}

TEST("a process that is stopped on its way to a bell keeps no other asleep for longer than a moment") {
  // The stopped process has taken the other's sleep word, and never rings.
  const auto region = anonymousRegion(ringGeometry());
  const auto take = [&](HostLine<SleepLine>& sleep) { region->publication().take<&SleepLine::sleeps>(sleep); };
  std::atomic<uint32_t> called{0};  // private
  Waiter waiter(attachedAgain(*region), [&called] { called.fetch_add(1); });
  CHECK_EQUAL(waiter.start().fault, "none");
  waiter.arm(sleepsForFrames);
  const uint64_t stopped = nowNanos();
  take(region->process(1).sleep);
  until("it is called", [&] { return called.load() == 1; });
  CHECK(nowNanos() - stopped < 250'000'000 * slowness);

  TestLog log(tinyGeometry(), TestLog::threaded());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  auto& sleep = log.region()->blockHead(1).sleep;
  for (uint64_t sequence = 0; sequence < 5; sequence += 1) {
    until("the sequencer sleeps", [&] { return log.region()->publication().observe<&SleepLine::sleeps>(sleep) != awake; });
    take(sleep);
    CHECK(publishing.publish(sequence % 2, sequence));
    until("it is committed", [&] { return publishing.lanes().committedBatches() == sequence + 1; });
  }
}

}  // namespace

}  // namespace ringfence::test
