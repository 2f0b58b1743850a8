// When the operating system refuses a thread: a typed fault, and nothing half begun.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "log_fixture.h"
#include "measure/machine.h"
#include "measure/round_trips.h"
#include "region/epochs.h"
#include "region/waiter.h"

namespace ringfence::test {

namespace {

// Sets the limit of threads. It does not bind the superuser, so this process changes its user. The leak checker at its
// end needs a thread, and access to this process.
class WithoutThreads {
 public:
  WithoutThreads() {
    CHECK_EQUAL(getrlimit(RLIMIT_NPROC, &before_), 0);
    const rlimit none{0, before_.rlim_max};
    CHECK_EQUAL(setrlimit(RLIMIT_NPROC, &none), 0);
    if (geteuid() == 0) CHECK_EQUAL(setuid(65534), 0);
  }
  ~WithoutThreads() {
    setrlimit(RLIMIT_NPROC, &before_);
    prctl(PR_SET_DUMPABLE, 1);
  }
  WithoutThreads(const WithoutThreads&) = delete;
  WithoutThreads& operator=(const WithoutThreads&) = delete;

 private:
  rlimit before_{};
};

std::set<std::string> threadNames() {
  std::set<std::string> names;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    names.insert(name);
  }
  return names;
}

void expectRefused(const Status& status) {
  CHECK_EQUAL(status.fault, "system");
  CHECK(status.detail.find("thread") != std::string::npos);
  CHECK(status.hint.find("ulimit") != std::string::npos);
}

TEST("threads bear names: an operator tells the sequencer's from a doorbell's") {
  const auto region = anonymousRegion(tinyGeometry());
  Sequencer sequencer(region, TestLog::threaded());
  CHECK_EQUAL(sequencer.start().fault, "none");
  Waiter waiter(region, [] {});
  CHECK_EQUAL(waiter.start().fault, "none");
  until("both have set their names", [] {
    const auto names = threadNames();
    return names.contains("rf-sequencer") && names.contains("rf-doorbell");
  });
  waiter.stop();
}

TEST("where no thread can be had a server is refused, and nothing of it is begun") {
  const auto region = anonymousRegion(tinyGeometry());
  const WithoutThreads none;
  {
    Sequencer sequencer(region, TestLog::threaded());
    expectRefused(sequencer.start());
  }
  CHECK_EQUAL(serverState(*region), serverUnknown);
  CHECK_EQUAL(headsOf(*region).newest.number, 0);
  // A sequencer without a thread can still serve it.
  Sequencer sequencer(region, TestLog::manual());
  CHECK_EQUAL(sequencer.start().fault, "none");
}

TEST("where no thread can be had a waiter is refused, and its region can be closed") {
  const auto region = anonymousRegion(tinyGeometry());
  const WithoutThreads none;
  {
    Waiter waiter(region, [] {});
    expectRefused(waiter.start());
    waiter.stop();
  }
  region->close();
}

TEST("where no thread can be had nothing is measured") {
  const WithoutThreads none;
  RoundTrips trips{};
  expectRefused(futexRoundTrips(10, trips));
  expectRefused(ringRoundTrips(10, true, trips));
  CopyLimit limit{};
  expectRefused(copyLimit({1 << 20, 1 << 16, 1024, 1024}, limit));
  double micros = 0;
  expectRefused(lineRoundTripMicros(micros));
}

}  // namespace

}  // namespace ringfence::test
