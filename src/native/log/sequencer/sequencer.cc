// Runs the total order: takes the lease, makes one pass after another on a thread of its own, and stops.
#include <algorithm>

#include "region/futex.h"
#include "region/waiter.h"
#include "sequencer.h"

namespace ringfence {

namespace {

constexpr int64_t lookNanos = 100'000'000;  // how often a sleeping sequencer looks at its sleep word
constexpr int64_t spinNanos = 4'000;        // how long an idle pass is repeated before the thread sleeps
constexpr int stopPasses = 4096;            // so that a client that goes on publishing does not keep it from stopping

}  // namespace

Sequencer::Sequencer(std::shared_ptr<Region> region, SequencerOptions options)
    : region_(std::move(region)),
      options_(options),
      p_(region_->publication()),
      g_(region_->layout().geometry),
      sessions_(g_.clients),
      lanes_(region_->layout().lanes()) {
  for (Lane& lane : lanes_) {
    lane.state.assign(g_.laneSlots, Slot::none);
    lane.topic.assign(g_.laneSlots, 0);
    lane.entry.assign(g_.laneSlots, 0);
    lane.start.assign(g_.laneSlots, 0);
  }
}

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
  ControlLine& control = region_->header().control;
  if (p_.observe(control.state) != servingNone) {
    return Status::failed("busy", "its order was begun by a process that is gone");
  }
  // A server keeps the name as its creator does: no client could attach to what it serves otherwise.
  const Status held = region_->hold();
  if (!held.ok()) return held;
  // The thread comes first, and waits until all is written: nothing is begun that no thread would serve.
  const std::lock_guard<std::mutex> lock(mutex_);
  const Status status = options_.manual ? Status::fine() : thread_.start([this] { run(); });
  if (!status.ok()) return status;
  const uint64_t begun = p_.observe(control.epoch);
  epoch_ = begun == 0 ? 1 : begun;
  BlockHeader& block = region_->blockHeader(epoch_);
  p_.write(block.epoch, epoch_);
  p_.write(block.process, uint64_t{region_->slot()});
  p_.write(block.processGeneration, region_->generation());
  p_.wrote(&block, sizeof(block));
  p_.write(control.sequencerProcess, region_->slot());
  p_.write(control.sequencerGeneration, region_->generation());
  p_.write(control.epochMicros, options_.epochMicros);
  p_.publish(control.epoch, epoch_);
  p_.publish(control.state, uint32_t{servingActive});
  stopped_ = false;
  return Status::fine();
}

void Sequencer::stop() {
  stopping_.store(true, std::memory_order_seq_cst);
  if (thread_.running()) {
    BellLine& bell = region_->header().sequencerBell;
    p_.ring(bell.bell);
    futexWake(&bell.bell);
    thread_.join();
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stopped_) return;
  stopped_ = true;
  // What was published before the stop is still ordered.
  for (int i = 0; i < stopPasses && pass(true); i += 1) continue;
  publishAgain();
  p_.publish(region_->header().control.state, uint32_t{servingStopped});
  region_->unlockLease();
  region_->wakeProcesses(sleepsForAll);
}

bool Sequencer::step() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !stopped_ && pass(true);
}

void Sequencer::pause() {
  const std::lock_guard<std::mutex> lock(mutex_);
  paused_ = true;
}

void Sequencer::resume() {
  const std::lock_guard<std::mutex> lock(mutex_);
  paused_ = false;
  BellLine& bell = region_->header().sequencerBell;
  p_.ring(bell.bell);
  futexWake(&bell.bell);
}

bool Sequencer::pass(bool commitNow) {
  passes_ += 1;
  bool moved = adoptTopics();
  const bool adopted = adoptClients();
  moved |= adopted;
  moved |= scanLanes();
  if (!ready_.empty() && (commitNow || epochDue())) moved |= commit();
  moved |= endSessions();
  moved |= answerWish();
  moved |= followReaders();
  moved |= makeRoom();
  if (moved) {
    publishAll();
    region_->wakeProcesses(adopted ? sleepsForData | sleepsForAdmission : uint32_t{sleepsForData});
  }
  return moved;
}

// --- the thread ---

int64_t Sequencer::sleepNanos() const {
  if (ready_.empty() || paused_) return -1;
  const uint64_t age = monotonicNanos() - readySinceNanos_;
  const uint64_t limit = options_.epochMicros * 1000;
  return age >= limit ? 0 : static_cast<int64_t>(limit - age);
}

// Until the bell rings, or the limit is over. The bell may stay silent though a publisher has taken the word, where that
// one was killed or stopped before it rang: so the word is looked at now and then. Nothing else is done then.
void Sequencer::sleep(uint32_t heard, uint32_t reasons, int64_t limitNanos) const {
  const Header& head = region_->header();
  const uint64_t since = monotonicNanos();
  int64_t left = limitNanos;
  do {
    futexWait(&head.sequencerBell.bell, heard, left < 0 ? lookNanos : std::min(left, lookNanos));
    if (limitNanos >= 0) left = limitNanos - static_cast<int64_t>(monotonicNanos() - since);
  } while (p_.observe(head.sequencerBell.bell) == heard && p_.observe(head.sequencerSleep.sleeps) == reasons &&
           (limitNanos < 0 || left > 0));
}

// SYNC: the sleep word is written, a full fence follows, then the lanes are looked at once more; a publisher
// publishes first, fences, and looks at the word (Region::wakeSequencer).
void Sequencer::run() {
  Header& head = region_->header();
  uint64_t idleSince = 0;
  while (!stopping_.load(std::memory_order_seq_cst)) {
    const uint32_t heard = p_.observe(head.sequencerBell.bell);
    bool moved;
    bool wantsRoom;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      moved = !paused_ && pass(false);
      wantsRoom = roomWanted_;
    }
    if (moved) {
      idleSince = 0;
      continue;
    }
    const uint64_t now = monotonicNanos();
    if (idleSince == 0) idleSince = now;
    if (now - idleSince < static_cast<uint64_t>(spinNanos)) continue;
    const uint32_t reasons = sleepsForData | (wantsRoom ? uint32_t{sleepsForRoom} : 0U);
    p_.write(head.sequencerSleep.sleeps, reasons);
    p_.fullFence();
    int64_t limit;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      moved = !paused_ && pass(false);
      moved |= roomWanted_ && !wantsRoom;  // the word must say all that is slept for
      limit = sleepNanos();
    }
    if (!moved && limit != 0 && !stopping_.load(std::memory_order_seq_cst)) sleep(heard, reasons, limit);
    p_.write(head.sequencerSleep.sleeps, uint32_t{awake});
    idleSince = 0;
  }
}

}  // namespace ringfence
