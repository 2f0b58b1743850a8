// Runs the total order: takes the lease, makes one pass after another on a thread of its own, and stops.
#include "sequencer.h"

#include <algorithm>

#include "dead_processes.h"
#include "pass.h"
#include "publishing.h"
#include "region/futex.h"
#include "region/planted.h"
#include "region/waiter.h"
#include "retention.h"
#include "stalls.h"
#include "topic_places.h"

namespace ringfence {

namespace {

constexpr int64_t lookNanos = 100'000'000;  // how often a sleeping sequencer looks at its sleep word
constexpr int64_t spinNanos = 4'000;        // how long an idle pass is repeated before the thread sleeps
constexpr int stopPasses = 4096;            // so that a client that goes on publishing does not keep it from stopping

}  // namespace

Sequencer::Sequencer(std::shared_ptr<Region> region, SequencerOptions options)
    : region_(std::move(region)), order_(sequencing::emptyState(*region_, options)) {}

Sequencer::~Sequencer() { stop(); }

Status Sequencer::start() {
  if (serverState(*region_) == serverServing || !region_->tryLockLease()) {
    return Status::failed("busy", "its sequencer runs already");
  }
  const Status status = begin();
  if (!status.ok()) region_->unlockLease();
  return status;
}

// Taking over the order of a predecessor is not built yet: a region serves one epoch. One that was begun and never
// served has no owner: its block is empty still, and clients may have looked at it, so the same epoch is begun again.
// SYNC: `state` is published last, and says that all before it is there.
Status Sequencer::begin() {
  const Publication& p = region_->publication();
  ControlLine& control = region_->header().control;
  if (p.observe(control.state) != servingNone) {
    return Status::failed("busy", "its order was begun by a process that is gone");
  }
  // A server keeps the name as its creator does: no client could attach to what it serves otherwise.
  const Status held = region_->hold();
  if (!held.ok()) return held;
  // The thread comes first, and waits until all is written: nothing is begun that no thread would serve.
  const std::lock_guard<std::mutex> lock(mutex_);
  const Status status = order_.options.manual ? Status::fine() : thread_.start([this] { run(); });
  if (!status.ok()) return status;
  const uint64_t begun = p.observe(control.epoch);
  if (begun != 0 && planted("start between epoch and state")) return Status::failed("busy", "its order was begun");
  order_.epoch = begun == 0 ? 1 : begun;
  BlockHeader& block = region_->blockHeader(order_.epoch);
  p.write(block.epoch, order_.epoch);
  p.write(block.process, uint64_t{region_->slot()});
  p.write(block.processGeneration, region_->generation());
  p.wrote(&block, sizeof(block));
  p.write(control.sequencerProcess, region_->slot());
  p.write(control.sequencerGeneration, region_->generation());
  p.write(control.epochMicros, order_.options.epochMicros);
  p.publish(control.epoch, order_.epoch);
  p.publish(control.state, uint32_t{servingActive});
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
  // What was published before the stop is still ordered.
  for (int i = 0; i < stopPasses && pass(order_, true); i += 1) continue;
  publishAgain(order_);
  region_->publication().publish(region_->header().control.state, uint32_t{servingStopped});
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
  BellLine& bell = region_->header().sequencerBell;
  region_->publication().ring(bell.bell);
  futexWake(&bell.bell);
}

// --- what others ask of it, between two passes ---

std::vector<DeadReader> Sequencer::endDead() {
  std::vector<DeadReader> readers;
  bool changed = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_) return readers;
    publishAgain(order_);
    // A reader that gives back while the sequencer sleeps wakes it only where room is wanted.
    if (!paused_ && !order_.options.manual && followReaders(order_)) publishAll(order_);
    changed = endDeadSessions(order_);
    readers = endDeadReaders(order_);
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

// Until the bell rings, or the limit is over. The bell may stay silent though a publisher has taken the word, where that
// one was killed or stopped before it rang: so the word is looked at now and then. Nothing else is done then.
void Sequencer::sleep(uint32_t heard, uint32_t reasons, int64_t limitNanos) const {
  const Publication& p = region_->publication();
  const Header& head = region_->header();
  const uint64_t since = monotonicNanos();
  int64_t left = limitNanos;
  do {
    futexWait(&head.sequencerBell.bell, heard, left < 0 ? lookNanos : std::min(left, lookNanos));
    if (limitNanos >= 0) left = limitNanos - static_cast<int64_t>(monotonicNanos() - since);
  } while (p.observe(head.sequencerBell.bell) == heard && p.observe(head.sequencerSleep.sleeps) == reasons &&
           (limitNanos < 0 || left > 0));
}

// SYNC: the sleep word is written, a full fence follows, then the lanes are looked at once more; a publisher
// publishes first, fences, and looks at the word (Region::wakeSequencer).
void Sequencer::run() {
  const Publication& p = region_->publication();
  Header& head = region_->header();
  uint64_t idleSince = 0;
  while (!stopping_.load(std::memory_order_seq_cst)) {
    const uint32_t heard = p.observe(head.sequencerBell.bell);
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
    p.write(head.sequencerSleep.sleeps, reasons);
    p.fullFence();
    int64_t limit;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      moved = !paused_ && pass(order_, false);
      moved |= order_.roomWanted && !wantsRoom;  // the word must say all that is slept for
      limit = sleepNanos();
    }
    if (!moved && limit != 0 && !stopping_.load(std::memory_order_seq_cst)) sleep(heard, reasons, limit);
    p.write(head.sequencerSleep.sleeps, uint32_t{awake});
    idleSince = 0;
  }
}

}  // namespace ringfence
