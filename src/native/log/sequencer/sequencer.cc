// Runs the total order: takes the lease, makes pass after pass on a thread of its own, and stops.
#include "sequencer.h"

#include <algorithm>

#include "dead_processes.h"
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

namespace {

constexpr int64_t lookNanos = 100'000'000;  // how often a sleeping sequencer checks its sleep word
constexpr int64_t spinNanos = 4'000;        // how long an idle pass is repeated before the thread sleeps
constexpr int stopPasses = 4096;            // bounds the stop while a client keeps publishing

}  // namespace

Sequencer::Sequencer(std::shared_ptr<Region> region, SequencerOptions options)
    : region_(std::move(region)), order_(sequencing::emptyState(*region_, options, role::Sequencer())) {}

Sequencer::~Sequencer() { stop(); }

Status Sequencer::start() {
  if (serverState(*region_) == serverServing || !region_->tryLockLease()) {
    return Status::failed("busy", "its sequencer runs already");
  }
  const Status status = begin();
  if (!status.ok()) region_->unlockLease();
  return status;
}

// Taking over a predecessor's order is not built yet: a region serves one epoch. If a dead process began the epoch but
// never served it, begin the same epoch again: its block is still empty, and clients may have read its number.
// SYNC: publishes `state` last, after all fields that name the server.
Status Sequencer::begin() {
  const Publication& p = region_->publication();
  auto& control = region_->header().control;
  if (p.observe<&ControlLine::state>(control) != servingNone) {
    return Status::failed("busy", "its order was served by a process that is gone, and cannot be continued");
  }
  // Hold the region, so that its name stays when its creator closes: clients attach by it.
  const Status held = region_->hold();
  if (!held.ok()) return held;
  // Start the thread first, which waits for the lock: an epoch must not begin without a thread to serve it.
  const std::lock_guard<std::mutex> lock(mutex_);
  const Status status = order_.options.manual ? Status::fine() : thread_.start([this] { run(); });
  if (!status.ok()) return status;
  const uint64_t begun = p.observe<&ControlLine::epoch>(control);
  if (begun != 0 && planted("start between epoch and state")) return Status::failed("busy", "its order was begun");
  order_.epoch = begun == 0 ? 1 : begun;
  p.on(order_.role, region_->blockHeader(order_.epoch))
      .set<&BlockHeader::process>(region_->slot())
      .set<&BlockHeader::processGeneration>(region_->generation())
      .publish<&BlockHeader::epoch>(order_.epoch);
  p.on(order_.role, control)
      .set<&ControlLine::sequencerProcess>(region_->slot())
      .set<&ControlLine::sequencerGeneration>(region_->generation())
      .publish<&ControlLine::epoch>(order_.epoch)
      .publish<&ControlLine::state>(servingActive);
  stopped_ = false;
  return Status::fine();
}

void Sequencer::stop() {
  stopping_.store(true, std::memory_order_seq_cst);
  if (thread_.running()) {
    ringOwnBell();
    thread_.join();
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stopped_) return;
  stopped_ = true;
  // Order what was published before the stop.
  for (int i = 0; i < stopPasses && pass(order_, true); i += 1) continue;
  publishAgain(order_);
  region_->publication().on(order_.role, region_->header().control).publish<&ControlLine::state>(servingStopped);
  region_->unlockLease();
  region_->wakeProcesses(sleepsForAll);
}

bool Sequencer::step() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !stopped_ && pass(order_, true);
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
  ringBell(region_->publication(), region_->header().sequencerBell);
}

// --- requests between two passes ---

std::vector<DeadReader> Sequencer::endDead() {
  std::vector<DeadReader> readers;
  bool changed = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_) return readers;
    publishAgain(order_);
    // A reader that releases batches wakes a sleeping sequencer only if room is wanted, so follow the readers here.
    if (!paused_ && !order_.options.manual && followReaders(order_)) publishAll(order_);
    changed = endDeadSessions(order_);
    if (endSessionsWithHoles(order_)) {
      changed = true;
      publishAll(order_);
      region_->wakeProcesses(sleepsForData);
    }
    readers = endDeadReaders(order_);
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
  return sequencing::keepTopic(order_, place);
}

SequencerCounters Sequencer::counters() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const sequencing::Totals& totals = order_.totals;
  return {order_.epoch,     totals.passes,     totals.commits, totals.batches,
          totals.messages,  totals.duplicates, totals.purged,  heldBatches(order_),
          paused_,          stopped_};
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
  if (order_.ready.empty() || paused_) return -1;
  const uint64_t age = monotonicNanos() - order_.readySinceNanos;
  const uint64_t limit = order_.options.epochMicros * 1000;
  return age >= limit ? 0 : static_cast<int64_t>(limit - age);
}

// Sleeps until the bell rings or the limit has passed. A publisher that took the sleep word may have been killed or
// stopped before it rang, so check the word now and then, and nothing else.
void Sequencer::sleep(uint32_t heard, uint32_t reasons, int64_t limitNanos) const {
  const Publication& p = region_->publication();
  const Header& head = region_->header();
  const uint64_t since = monotonicNanos();
  int64_t left = limitNanos;
  do {
    futexWait(p.futexWord<&BellLine::bell>(head.sequencerBell), heard, left < 0 ? lookNanos : std::min(left, lookNanos));
    if (limitNanos >= 0) left = limitNanos - static_cast<int64_t>(monotonicNanos() - since);
  } while (p.observe<&BellLine::bell>(head.sequencerBell) == heard &&
           p.observe<&SleepLine::sleeps>(head.sequencerSleep) == reasons && (limitNanos < 0 || left > 0));
}

// SYNC: writes the sleep word, fences, and scans the lanes once more; a publisher publishes, fences, and reads the word
// (Region::wakeSequencer).
void Sequencer::run() {
  const Publication& p = region_->publication();
  Header& head = region_->header();
  const role::Sleeper sleeper;
  uint64_t idleSince = 0;
  while (!stopping_.load(std::memory_order_seq_cst)) {
    const uint32_t heard = p.observe<&BellLine::bell>(head.sequencerBell);
    bool moved;
    bool wantsRoom;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      moved = !paused_ && pass(order_, false);
      wantsRoom = order_.roomWanted;
    }
    if (moved) {
      idleSince = 0;
      continue;
    }
    const uint64_t now = monotonicNanos();
    if (idleSince == 0) idleSince = now;
    if (now - idleSince < static_cast<uint64_t>(spinNanos)) continue;
    const uint32_t reasons = sleepsForData | (wantsRoom ? uint32_t{sleepsForRoom} : 0U);
    p.set<&SleepLine::sleeps>(sleeper, head.sequencerSleep, reasons);
    const Fenced fenced = p.fullFence();
    int64_t limit;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      moved = !paused_ && pass(order_, fenced, false);
      moved |= order_.roomWanted && !wantsRoom;  // the word must include every reason to wake: pass again
      limit = sleepNanos();
    }
    if (!moved && limit != 0 && !stopping_.load(std::memory_order_seq_cst)) sleep(heard, reasons, limit);
    p.set<&SleepLine::sleeps>(sleeper, head.sequencerSleep, awake);
    idleSince = 0;
  }
}

}  // namespace ringfence
