// Sleeping and waking: no process misses what it waits for, and none is awake without a reason.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "region/futex.h"
#include "log_fixture.h"
#include "region/waiter.h"
#include "scratch_line.h"

namespace ringfence::test {

namespace {

// Longer than any scheduler lets a runnable thread wait, shorter than the test's own limit.
constexpr int64_t lostAfterNanos = 20'000'000'000;

// A little less than the period of the waiter's liveness checks, which would end a lost wake-up.
constexpr uint64_t lateNanos = 90'000'000;

std::shared_ptr<Region> again(const Region& region, const char* name) {
  std::shared_ptr<Region> attached;
  CHECK_EQUAL(Region::reattach(region, name, attached).fault, "none");
  return attached;
}

// Waits as JavaScript does: arms its doorbell, checks, and sleeps until it is called.
class Sleeper {
 public:
  explicit Sleeper(std::shared_ptr<Region> region)
      : waiter_(std::move(region), [this] {
          called_.fetch_add(1);
          futexWake(word());
        }) {
    CHECK_EQUAL(waiter_.start().fault, "none");
  }

  template <class Look>
  void until(const Look& look) {
    for (;;) {
      const uint32_t before = called_.load();
      waiter_.arm(sleepsForData);
      if (look()) break;
      const uint64_t started = nowNanos();
      while (called_.load() == before) {
        futexWait(word(), before, lostAfterNanos);
        if (nowNanos() - started >= lostAfterNanos) fail(__FILE__, __LINE__, "a wake-up was lost");
      }
      const uint64_t nanos = nowNanos() - started;
      if (nanos > lateNanos) late_ += 1;
      if (look()) break;
    }
  }
  Waiter& waiter() { return waiter_; }
  uint32_t called() const { return called_.load(); }
  uint64_t late() const { return late_; }

 private:
  const uint32_t* word() const { return reinterpret_cast<const uint32_t*>(&called_); }

  std::atomic<uint32_t> called_{0};  // private
  uint64_t late_ = 0;
  Waiter waiter_;
};

// How long this process's threads were ready without a processor, by the system's count, or 0 if it has none.
uint64_t starvedNanos() {
  uint64_t sum = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream statistics(task.path() / "schedstat");
    uint64_t ran = 0;
    uint64_t starved = 0;
    if (statistics >> ran >> starved) sum += starved;
  }
  return sum;
}

// How many waits may be late: a few, and more on a busy machine, whose scheduler keeps a ready thread from running.
uint64_t lateAtMost() { return 20 + starvedNanos() / lateNanos; }

void delay(Random& random) {
  const uint64_t started = nowNanos();
  const uint64_t nanos = random.oneIn(16) ? random.below(40'000) : random.below(2'000);
  while (nowNanos() - started < nanos) continue;
}

// One side of a ping-pong over doorbells: publishes a count, checks the other's sleep word, and waits for its count.
void ping(Region& region, Sleeper& sleeper, uint32_t side, uint64_t rounds, uint64_t stream) {
  const Publication& p = region.publication();
  Random random(stream);
  for (uint64_t round = 1; round <= rounds; round += 1) {
    delay(random);
    p.on(Player(), scratch(region, side)).publish<&Scratch::count>(round);
    region.wakeProcesses(sleepsForData);
    if (random.oneIn(4)) delay(random);
    sleeper.until([&] { return p.observe<&Scratch::count>(scratch(region, 1 - side)) >= round; });
  }
}

TEST("no wake-up is lost in 200,000 rounds between two that wait for each other") {
  const auto region = anonymousRegion(tinyGeometry());
  const auto first = again(*region, "first");
  const auto second = again(*region, "second");
  Sleeper sleepers[2] = {Sleeper(first), Sleeper(second)};
  const uint64_t rounds = 200'000 / slowness;
  std::thread other([&] { ping(*second, sleepers[1], 1, rounds, 20); });
  ping(*first, sleepers[0], 0, rounds, 21);
  other.join();
  CHECK(sleepers[0].late() + sleepers[1].late() < lateAtMost());
}

TEST("no wake-up is lost between a publisher and a sequencer that go to sleep after every batch") {
  TestLog log(tinyGeometry(), TestLog::threaded());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  Sleeper sleeper(again(*log.region(), "publisher"));
  Random random(22);
  for (uint64_t sequence = 0; sequence < 60'000 / slowness; sequence += 1) {
    sleeper.until([&] { return publishing.publish(sequence % 2, sequence); });
    if (!random.oneIn(3)) sleeper.until([&] { return publishing.lanes().committedBatches() == sequence + 1; });
    delay(random);
  }
  CHECK(sleeper.late() < lateAtMost());
}

TEST("no wake-up is lost when writer, sequencer and reader wait for each other round a full lane") {
  TestLog log(tinyGeometry(), TestLog::threaded());
  const uint32_t topic = log.declare("t", orderSession);
  Publishing publishing(log.open(topic));
  Following following(log, log.reader(topic, From::start), orderSession);
  Sleeper writing(again(*log.region(), "writer"));
  Sleeper reading(again(*log.region(), "reader"));
  const uint64_t batches = 60'000 / slowness;
  std::thread reader([&] {
    Random random(23);
    while (following.index() < batches) {
      uint32_t taken = 0;
      reading.until([&] { return (taken = following.take(static_cast<uint32_t>(1 + random.below(8)), true)) != 0; });
      if (random.oneIn(8)) delay(random);
      following.giveBack();
    }
  });
  for (uint64_t sequence = 0; sequence < batches; sequence += 1) {
    writing.until([&] { return publishing.publish(sequence % 2, sequence); });
  }
  reader.join();
  CHECK_EQUAL(following.batchesOf(publishing.session()), batches);
  CHECK(writing.late() + reading.late() < lateAtMost());
}

uint64_t processorMicros() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto micros = [](const timeval& t) { return static_cast<uint64_t>(t.tv_sec) * 1'000'000 + static_cast<uint64_t>(t.tv_usec); };
  return micros(usage.ru_utime) + micros(usage.ru_stime);
}

// Expects neither a pass nor processor use while nothing happens.
void expectAsleep(TestLog& log) {
  uint64_t passes = 0;
  until("the sequencer has nothing to do", [&] {
    passes = log.sequencer().counters().passes;
    usleep(20'000);
    return log.sequencer().counters().passes == passes;
  });
  const uint64_t before = processorMicros();
  usleep(400'000);
  CHECK_EQUAL(log.sequencer().counters().passes, passes);
  CHECK(processorMicros() - before < 20'000 * slowness);
}

TEST("an idle sequencer sleeps: with nothing at all, over an old gap, and behind a reader that rests") {
  TestLog log(tinyGeometry(), TestLog::threaded());
  const uint32_t topic = log.declare("t", orderSession);
  expectAsleep(log);
  Publishing gap(log.open(topic));
  CHECK(gap.publish(0, 1));
  until("it is held", [&] { return gap.lanes().held() == 1; });
  expectAsleep(log);
  Publishing publishing(log.open(topic));
  Following following(log, log.reader(topic, From::start), orderSession);
  uint64_t sequence = 0;
  until("the lanes are full", [&] {
    while (publishing.publish(sequence % 2, sequence)) sequence += 1;
    return sequence > 8 && publishing.lanes().committedBatches() == sequence;
  });
  expectAsleep(log);
  log.sequencer().pause();
  expectAsleep(log);
  log.sequencer().resume();
  while (following.take(64) != 0) continue;
  until("there is room again", [&] { return publishing.publish(sequence % 2, sequence); });
}

TEST("a waiter calls once for each arming, and not at all unarmed") {
  const auto region = anonymousRegion(tinyGeometry());
  Sleeper sleeper(again(*region, "sleeper"));
  for (uint32_t round = 1; round <= 50; round += 1) {
    sleeper.waiter().arm(sleepsForData);
    region->wakeProcesses(sleepsForAdmission);  // not what it sleeps for
    CHECK_EQUAL(sleeper.called(), round - 1);
    region->wakeProcesses(sleepsForData);
    until("it is called", [&] { return sleeper.called() == round; });
    for (int i = 0; i < 4; i += 1) region->wakeProcesses(sleepsForAll);
    usleep(200);
    CHECK_EQUAL(sleeper.called(), round);
  }
}

TEST("a sleeper that was called is not rung again before it arms again") {
  const auto region = anonymousRegion(tinyGeometry());
  const auto other = again(*region, "sleeper");
  Sleeper sleeper(other);
  sleeper.waiter().arm(sleepsForData);
  region->wakeProcesses(sleepsForData);
  until("it is called", [&] { return sleeper.called() == 1; });
  const HostLine<BellLine>& bell = region->process(other->slot()).bell;
  const uint32_t rung = region->publication().observe<&BellLine::bell>(bell);
  for (int i = 0; i < 10; i += 1) region->wakeProcesses(sleepsForData);
  CHECK_EQUAL(region->publication().observe<&BellLine::bell>(bell), rung);
}

TEST("nothing is called once a waiter has stopped, however hard it is being rung") {
  const auto region = anonymousRegion(tinyGeometry());
  std::atomic<bool> done{false};  // private
  std::thread ringing([&] {
    while (!done.load()) region->wakeProcesses(sleepsForAll);
  });
  for (uint64_t round = 0; round < 2000 / slowness; round += 1) {
    const auto other = again(*region, "sleeper");
    auto called = std::make_unique<uint32_t>(0);
    Waiter waiter(other, [&called] { *called += 1; });
    CHECK_EQUAL(waiter.start().fault, "none");
    waiter.arm(sleepsForData);
    if (round % 2 == 0) pauseBriefly();
    waiter.stop();
    called.reset();  // a call after this would touch what is gone
  }
  done.store(true);
  ringing.join();
}

TEST("an armed waiter is called when the log stops, and when its server is killed") {
  const std::string path = scratchFolder() + "/region";
  CreateOptions options;
  options.path = path;
  options.geometry = tinyGeometry();
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::create(options, nullptr, region).fault, "none");
  const pid_t server = fork();
  if (server == 0) {
    std::shared_ptr<Region> mine;
    if (!Region::attach({path, "server", false}, mine).ok()) _exit(2);
    Sequencer sequencer(mine, TestLog::manual());
    if (!sequencer.start().ok()) _exit(3);
    for (;;) pause();
  }
  until("it is served", [&] { return serverState(*region) == serverServing; });
  Sleeper sleeper(region);
  sleeper.waiter().arm(sleepsForData);
  usleep(300'000);
  CHECK_EQUAL(sleeper.called(), 0);
  const uint64_t killed = nowNanos();
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  until("it is called", [&] { return sleeper.called() == 1; });
  CHECK(nowNanos() - killed < 1'000'000'000);

  TestLog log(tinyGeometry(), TestLog::threaded());
  Sleeper other(again(*log.region(), "client"));
  other.waiter().arm(sleepsForData);
  log.sequencer().stop();
  until("it is called", [&] { return other.called() == 1; });
}

TEST("a death is counted in time, however often the bell rings") {
  const std::string path = scratchFolder() + "/region";
  CreateOptions options;
  options.path = path;
  options.geometry = tinyGeometry();
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::create(options, nullptr, region).fault, "none");
  const pid_t other = fork();
  if (other == 0) {
    std::shared_ptr<Region> mine;
    if (!Region::attach({path, "other", false}, mine).ok()) _exit(2);
    for (;;) pause();
  }
  until("it is attached", [&] { return region->processes().size() == 2; });
  Sleeper sleeper(region);
  const uint64_t before = sleeper.waiter().lives();
  const uint64_t killed = nowNanos();
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
  while (sleeper.waiter().lives() == before && nowNanos() - killed < lostAfterNanos) {
    region->publication().ring<&BellLine::bell>(region->bell());
  }
  CHECK_EQUAL(sleeper.waiter().lives(), before + 1);
  CHECK(nowNanos() - killed < 1'000'000'000);
}

TEST("the sequencer stops at any moment, under load, and what it acknowledged is there") {
  for (uint64_t round = 0; round < 60 / slowness; round += 1) {
    auto log = std::make_unique<TestLog>(tinyGeometry(), TestLog::threaded());
    const uint32_t topic = log->declare("t", orderSession);
    auto publishing = std::make_unique<Publishing>(log->open(topic));
    Following following(*log, log->reader(topic, From::start), orderSession);
    std::atomic<bool> done{false};  // private
    std::thread writer([&] {
      for (uint64_t sequence = 0; !done.load();) {
        if (publishing->publish(sequence % 2, sequence)) sequence += 1;
      }
    });
    Random random(800 + round);
    for (uint64_t turn = random.below(200); turn != 0; turn -= 1) following.take(64);
    log->sequencer().stop();
    const SessionLine& line = log->sessionLine(publishing->lanes().claim());
    const uint64_t acknowledged = log->region()->publication().observe<&SessionLine::Acknowledged::batches>(line.acknowledged);
    done.store(true);
    writer.join();
    CHECK_EQUAL(publishing->lanes().committedBatches(), acknowledged);
    while (following.take(64) != 0) continue;
    CHECK(following.batchesOf(publishing->session()) >= acknowledged);
    log.reset();  // destroy the log before its ends
  }
}

}  // namespace

}  // namespace ringfence::test
