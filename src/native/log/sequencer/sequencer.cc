// Runs the total order: makes pass after pass on a thread of its own, and stops. Its start is in takeover.cc.
#include "sequencer.h"

#include <algorithm>

#include "dead_processes.h"
#include "lease.h"
#include "pass.h"
#include "publishing.h"
#include "region/futex.h"
#include "region/planted.h"
#include "region/waiter.h"
#include "retention.h"
#include "scan.h"
#include "topic_places.h"
#include "unordered.h"

namespace ringfence {

using sequencing::Sweep;

namespace {

constexpr int64_t lookNanos = 100'000'000;  // how often a sleeping sequencer checks its sleep word
constexpr int64_t spinNanos = 4'000;        // how long an idle pass is repeated before the thread sleeps
constexpr uint32_t wholeEvery = 64;         // passes between two sleeps: one of so many looks at everything
constexpr int stopPasses = 4096;            // bounds the stop while a client keeps publishing

}  // namespace

Sequencer::Sequencer(std::shared_ptr<Region> region, SequencerOptions options)
    : region_(std::move(region)), order_(sequencing::emptyState(*region_, options, role::Sequencer())) {}

Sequencer::~Sequencer() { stop(); }

void Sequencer::stop(bool keep) {
  stopping_.store(true, std::memory_order_seq_cst);
  const std::lock_guard<std::mutex> starting(starting_);
  if (thread_.running()) {
    ringOwnBell();
    thread_.join();
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  // Order what was published before the stop.
  for (int i = 0; i < stopPasses && passOnce(true); i += 1) continue;
  if (stopped_) return giveBack();
  stopped_ = true;
  publishAgain(order_);
  if (!keep) publishHead(EpochState::stopped);
  giveBack();
  region_->wakeProcesses(sleepsForAll);
}

// Gives the block back: from here on another process may write it.
void Sequencer::giveBack() {
  if (!hasBlock_) return;
  hasBlock_ = false;
  region_->serve(0);
  region_->unlockBlock();
}

RecoveryReport Sequencer::recovery() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return recovery_;
}

// --- passes ---

// Whether this epoch is the largest still. A head of its own that was damaged is written again.
// SYNC: looks behind a full fence, which follows all stores of the last pass: a successor, which announces its epoch, fences,
// and reads this block, reads all of them, or is seen here before the next entry is overwritten.
bool Sequencer::newest(const Fenced& fenced) {
  const Publication p = region_->publication();
  const uint64_t word = headWordOf({order_.epoch, headState_});
  const auto [first, again] = p.observe<&BlockHead::word, &BlockHead::again>(region_->blockHead(order_.epoch).head);
  if (first != word || again != word) publishHead(headState_);
  const uint64_t largest = headsOf(*region_, fenced).newest.number;
  if (largest > order_.epoch) depose(largest);
  return largest <= order_.epoch;
}

// From here on this process publishes nothing, and grants nothing.
void Sequencer::depose(uint64_t by) {
  deposedBy_.store(by, std::memory_order_seq_cst);
  stopped_ = true;
  region_->serve(0);
  region_->wakeProcess(region_->publication().fullFence(), region_->slot(), sleepsForAll);
}

bool Sequencer::passOnce(bool commitNow, sequencing::Sweep sweep) {
  return !stopped_ && newest(region_->publication().fullFence()) && pass(order_, commitNow, sweep);
}

bool Sequencer::step() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return passOnce(true);
}

bool Sequencer::stepShare() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return passOnce(true, sequencing::Sweep::share);
}

void Sequencer::pause() {
  const std::lock_guard<std::mutex> lock(mutex_);
  paused_ = true;
}

void Sequencer::resume() {
  const std::lock_guard<std::mutex> lock(mutex_);
  paused_ = false;
  ringOwnBell();
}

void Sequencer::ringOwnBell() const {
  const uint64_t epoch = region_->servedEpoch();
  if (epoch != 0) ringBell(region_->publication(), region_->blockHead(epoch).bell);
}

// --- requests between two passes ---

// A sequencer that was deposed gives its block back here at the latest, once its thread has ended.
std::vector<DeadReader> Sequencer::endDead() {
  std::vector<DeadReader> readers;
  if (deposedBy() != 0) {
    stop();
    return readers;
  }
  bool changed = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_ || !newest(region_->publication().fullFence())) return readers;
    if (!paused_) publishAgain(order_);
    // A reader that releases batches wakes a sleeping sequencer only if room is wanted, so follow the readers here.
    if (!paused_ && !order_.options.manual && followReaders(order_)) publishAll(order_);
    changed = endDeadSessions(order_);
    if (endSessionsWithHoles(order_)) {
      changed = true;
      publishAll(order_);
      region_->wakeProcesses(sleepsForData);
    }
    readers = endDeadReaders(order_);
    // Of a replica's reader: one that was killed ahead of its ring has told no publisher and no subscriber what it had
    // synced, and one that was killed in the midst of its line has hidden from them what others have.
    if (!readers.empty()) region_->wakeProcesses(sleepsForData);
    // No publisher rings for batches without an order, and one that was killed or stopped has not rung their readers. Nor
    // has a reader rung that was killed or stopped between giving room back and telling of it.
    changed |= !paused_ && !order_.options.manual && (anyUnordered(order_) || order_.roomWanted);
    ringHolders(order_);
  }
  if (changed || !readers.empty()) ringOwnBell();
  return readers;
}

bool Sequencer::keepTopic(TopicPlace place) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stopped_ || !newest(region_->publication().fullFence())) return false;
  return sequencing::keepTopic(order_, place);
}

SequencerCounters Sequencer::counters() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const sequencing::Totals& totals = order_.totals;
  return {order_.epoch,     totals.passes,     totals.commits, totals.batches,
          totals.messages,  totals.duplicates, totals.purged,  heldBatches(order_),
          paused_,          stopped_,          deposedBy() != 0};
}

std::vector<SessionReport> Sequencer::sessions() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return reportSessions(order_);
}

std::vector<GateReport> Sequencer::gates() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return reportGates(order_);
}

// --- the thread ---

int64_t Sequencer::sleepNanos() const {
  if (paused_) return -1;
  const int64_t lease = order_.leaseRuns ? static_cast<int64_t>(leaseStepNanos(order_)) : -1;
  if (order_.ready.empty()) return lease;
  const uint64_t age = monotonicNanos() - order_.readySinceNanos;
  const uint64_t limit = order_.options.epochMicros * 1000;
  if (age >= limit) return 0;
  const auto left = static_cast<int64_t>(limit - age);
  return lease < 0 ? left : std::min(left, lease);
}

// Sleeps until the bell rings or the limit has passed. A publisher that took the sleep word may have been killed or
// stopped before it rang, so check the word now and then, and whether this epoch is the largest; and count the pulse, so that
// an idle sequencer is not suspect.
void Sequencer::sleep(uint32_t heard, uint32_t reasons, int64_t limitNanos) {
  const Publication& p = region_->publication();
  const EpochBlockHead& head = region_->blockHead(order_.epoch);
  const uint64_t since = monotonicNanos();
  int64_t left = limitNanos;
  do {
    futexWait(p.futexWord<&BellLine::bell>(head.bell), heard, left < 0 ? lookNanos : std::min(left, lookNanos));
    if (limitNanos >= 0) left = limitNanos - static_cast<int64_t>(monotonicNanos() - since);
  } while (looksNewest() && p.observe<&BellLine::bell>(head.bell) == heard &&
           p.observe<&SleepLine::sleeps>(head.sleep) == reasons && (limitNanos < 0 || left > 0));
}

bool Sequencer::looksNewest() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stopped_) return false;
  publishPulse(order_);
  return newest(region_->publication().fullFence());
}

// SYNC: writes the sleep word, fences, and scans the lanes once more; a publisher publishes, fences, and reads the word
// (Region::wakeSequencer).
void Sequencer::run() {
  const Publication& p = region_->publication();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_) return;
  }
  EpochBlockHead& head = region_->blockHead(order_.epoch);
  const role::Sleeper sleeper;
  uint64_t idleSince = 0;
  uint32_t passes = 0;  // since the last one that looked at everything
  while (!stopping_.load(std::memory_order_seq_cst)) {
    const uint32_t heard = p.observe<&BellLine::bell>(head.bell);
    bool moved;
    bool wantsRoom;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!stopped_) publishPulse(order_);
      moved = !paused_ && passOnce(false, passes == 0 ? Sweep::whole : Sweep::share);
      passes = (passes + 1) % wholeEvery;
      wantsRoom = order_.roomWanted;
      if (stopped_) return;
    }
    if (moved) {
      idleSince = 0;
      continue;
    }
    const uint64_t now = monotonicNanos();
    if (idleSince == 0) idleSince = now;
    if (now - idleSince < static_cast<uint64_t>(spinNanos)) continue;
    const uint32_t reasons = sleepsForData | (wantsRoom ? uint32_t{sleepsForRoom} : 0U);
    p.set<&SleepLine::sleeps>(sleeper, head.sleep, reasons);
    const Fenced fenced = p.fullFence();
    int64_t limit;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      moved = !stopped_ && newest(fenced) && !paused_ && pass(order_, fenced);
      moved |= order_.roomWanted && !wantsRoom;  // the word must include every reason to wake: pass again
      limit = sleepNanos();
      if (stopped_) return;
    }
    if (!moved && limit != 0 && !stopping_.load(std::memory_order_seq_cst)) sleep(heard, reasons, limit);
    p.set<&SleepLine::sleeps>(sleeper, head.sleep, awake);
    idleSince = 0;
    passes = 0;
  }
}

}  // namespace ringfence
