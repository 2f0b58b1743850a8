#include "round_trips.h"

#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "region/futex.h"
#include "ring/ring_reader.h"
#include "ring/ring_writer.h"
#include "region/thread.h"
#include "spin.h"

namespace ringfence {

namespace {

constexpr uint32_t messageBytes = 64;
constexpr uint16_t messageKind = 16;

// Pins the calling thread to one of the cores it may use. Otherwise the scheduler puts two threads that wake each other
// on one core in one run, where a wake-up costs a tenth, and on two in the next.
class OnCore {
 public:
  explicit OnCore(int which) {
    if (sched_getaffinity(0, sizeof(before_), &before_) != 0) return;
    const int cores = CPU_COUNT(&before_);
    if (cores < 2) return;
    int core = 0;
    for (int left = which % cores; !CPU_ISSET(core, &before_) || left-- > 0;) core += 1;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    kept_ = sched_setaffinity(0, sizeof(one), &one) == 0;
  }
  ~OnCore() {
    if (kept_) sched_setaffinity(0, sizeof(before_), &before_);
  }
  OnCore(const OnCore&) = delete;
  OnCore& operator=(const OnCore&) = delete;

 private:
  cpu_set_t before_{};
  bool kept_ = false;
};

double percentile(std::vector<double>& samples, double fraction) {
  const auto at = static_cast<size_t>(fraction * static_cast<double>(samples.size() - 1));
  std::nth_element(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(at), samples.end());
  return samples[at];
}

// Times `trips` round trips, after a tenth as many for warm-up.
template <class Trip>
RoundTrips timed(uint32_t trips, Trip trip) {
  const uint32_t warmup = trips / 10;
  std::vector<double> samples;
  samples.reserve(trips);
  uint64_t before = monotonicNanos();
  for (uint32_t i = 1; i <= warmup + trips; i += 1) {
    trip(i);
    const uint64_t now = monotonicNanos();
    if (i > warmup) samples.push_back(static_cast<double>(now - before) / 1000.0);
    before = now;
  }
  return {percentile(samples, 0.5), percentile(samples, 0.99)};
}

struct FutexLines {
  HostLine<BellLine> asked;
  HostLine<BellLine> answered;
};

void sleepUntil(const Publication& p, const HostLine<BellLine>& line, uint32_t value) {
  for (uint32_t now = p.observe<&BellLine::bell>(line); now != value; now = p.observe<&BellLine::bell>(line)) {
    futexWait(p.futexWord<&BellLine::bell>(line), now, -1);
  }
}

// One side of the conversation: an attachment with the ring that it writes and the ring that it reads.
class Side {
 public:
  static Status open(std::shared_ptr<Region> region, const char* writes, std::unique_ptr<Side>& side) {
    RingRole role;
    const Status status = claimRing(*region, writes, role);
    if (!status.ok()) return status;
    auto memory = region->mapRing(role.ring);
    if (memory == nullptr) return Status::failed("system", "the ring cannot be mapped");
    side = std::make_unique<Side>();
    side->writer_ = std::make_unique<RingWriter>(region, std::move(memory), role);
    side->region_ = std::move(region);
    return Status::fine();
  }

  Status listenTo(const char* ring) {
    ReaderRole role;
    const Status status = claimRingReader(*region_, ring, "", role);
    if (!status.ok()) return status;
    auto memory = region_->mapRing(role.ring);
    if (memory == nullptr) return Status::failed("system", "the ring cannot be mapped");
    reader_ = std::make_unique<RingReader>(region_, std::move(memory), role);
    return Status::fine();
  }

  void say() {
    const Frame frame{messageKind, 0, 0, 0, 0, 0, message_, messageBytes};
    writer_->append(frame);
    writer_->publish();
  }

  void hear(bool asleep) {
    const uint64_t at = reader_->cursors().read;
    while (reader_->available() == at) {
      if (asleep) {
        sleepUnlessHeard(at);
      } else {
        relax();
      }
    }
    const RingMemory& memory = *reader_->memory();
    std::memcpy(message_, memory.base() + at % memory.bytes() + sizeof(FrameHeader), messageBytes);
    const uint64_t end = reader_->available();
    reader_->advance({end, end, end, end});
  }

 private:
  // SYNC: as in Waiter::arm: writes the sleep word, fences, and checks the ring again before sleeping on the doorbell.
  void sleepUnlessHeard(uint64_t at) {
    const Publication& p = region_->publication();
    const uint32_t heard = p.observe<&BellLine::bell>(region_->bell());
    region_->sleepFor(sleepsForFrames);
    static_cast<void>(p.fullFence());
    if (reader_->available() == at) futexWait(p.futexWord<&BellLine::bell>(region_->bell()), heard, -1);
    region_->sleepFor(awake);
  }

  std::shared_ptr<Region> region_;
  std::unique_ptr<RingWriter> writer_;
  std::unique_ptr<RingReader> reader_;
  uint8_t message_[messageBytes] = {};
};

// The smallest possible log, and the two rings.
constexpr Geometry twoRings{1, 1, 1, 1, 8, 64, 2, 3, 32 * 1024, 4096, 2, 2, 64 * 1024};

Status openBoth(std::unique_ptr<Side>& asks, std::unique_ptr<Side>& answers) {
  CreateOptions options;
  options.processName = "asks";
  options.geometry = twoRings;
  std::shared_ptr<Region> first;
  std::shared_ptr<Region> second;
  Status status = Region::create(options, nullptr, first);
  if (status.ok()) status = Region::reattach(*first, "answers", second);
  if (status.ok()) status = Side::open(first, "questions", asks);
  if (status.ok()) status = Side::open(second, "answers", answers);
  if (status.ok()) status = asks->listenTo("answers");
  if (status.ok()) status = answers->listenTo("questions");
  return status;
}

}  // namespace

Status futexRoundTrips(uint32_t trips, RoundTrips& found) {
  const Publication p;
  void* at = mmap(nullptr, sizeof(FutexLines), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (at == MAP_FAILED) return Status::failed("noSpace", "no memory for two words");
  auto& lines = *static_cast<FutexLines*>(at);
  const uint32_t all = trips / 10 + trips;
  Thread answers;
  const Status status = answers.start("rf-echo", [&] {
    const OnCore core(1);
    for (uint32_t i = 1; i <= all; i += 1) {
      sleepUntil(p, lines.asked, i);
      ringBell(p, lines.answered);
    }
  });
  if (!status.ok()) {
    munmap(at, sizeof(FutexLines));
    return status;
  }
  const OnCore core(0);
  found = timed(trips, [&](uint32_t i) {
    ringBell(p, lines.asked);
    sleepUntil(p, lines.answered, i);
  });
  answers.join();
  munmap(at, sizeof(FutexLines));
  return Status::fine();
}

Status ringRoundTrips(uint32_t trips, bool asleep, RoundTrips& found) {
  std::unique_ptr<Side> asks;
  std::unique_ptr<Side> answers;
  Status status = openBoth(asks, answers);
  if (!status.ok()) return status;
  const uint32_t all = trips / 10 + trips;
  Thread other;
  status = other.start("rf-echo", [&] {
    const OnCore core(1);
    for (uint32_t i = 1; i <= all; i += 1) {
      answers->hear(asleep);
      answers->say();
    }
  });
  if (!status.ok()) return status;
  const OnCore core(0);
  found = timed(trips, [&](uint32_t) {
    asks->say();
    asks->hear(asleep);
  });
  other.join();
  return Status::fine();
}

}  // namespace ringfence
