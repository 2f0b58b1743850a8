#include "waiter.h"

#include <chrono>

#include "epochs.h"
#include "futex.h"
#include "planted.h"

namespace ringfence {

namespace {

// How often a waiter asks the operating system which processes live.
constexpr std::chrono::milliseconds liveness{Waiter::lookMillis};

}  // namespace

namespace {

// Of an epoch whose block no process holds, or of none.
ServerState withoutServer(const Region& region, const Heads& heads) {
  if (heads.served.number != 0) return serverDied;
  return region.kept() ? serverUnknown : serverDied;
}

}  // namespace

// Before the log is served, the server counts as dead once no living process could still serve it.
// SYNC: observe the heads again after checking the locks: another epoch may have begun, or the log may have been served,
// and stopped, in between, and a server that has stopped may have left. It pairs with the publishes in
// Sequencer::publishHead.
ServerState serverState(const Region& region) {
  Heads heads = headsOf(region);
  for (;;) {
    const Epoch newest = heads.newest;
    if (newest.state == EpochState::stopped) return serverStopped;
    if (newest.number != 0 && region.blockHeld(newest.number % region.layout().geometry.epochBlocks)) {
      if (newest.state == EpochState::serving) return serverServing;
      return heads.served.number == 0 ? serverUnknown : serverRecovering;
    }
    const ServerState state = withoutServer(region, heads);
    heads = headsOf(region);
    if (heads.newest.number == newest.number && heads.newest.state == newest.state) return state;
  }
}

Waiter::Waiter(std::shared_ptr<Region> region, std::function<void()> wake)
    : region_(std::move(region)), wake_(std::move(wake)) {}

Status Waiter::start() {
  processesChanged();
  return startThread();
}

// Sample the bell here, not in the thread: a ring between the first arm() and the thread's first look must count.
Status Waiter::startThread() {
  const uint32_t heard = region_->publication().observe<&BellLine::bell>(region_->bell());
  return thread_.start("rf-doorbell", [this, heard] { run(heard); });
}

// SYNC: the fence of each arm() puts the FIFO's word ahead of the sleep. A process that takes the sleep word ahead of that
// fence has published before, which the look behind the fence sees; one that takes it later reads this FIFO, and none that a
// former process of the slot polled (Region::ringOne).
int Waiter::listen() {
  processesChanged();
  uint64_t fifo = 0;
  const int fd = openOwnFifo(*region_, fifo);
  if (fd < 0) return -1;
  const Publication& p = region_->publication();
  unheard_ = p.observe<&BellLine::unheard>(region_->bell());
  region_->polls(fifo);
  listens_ = true;
  return fd;
}

// A process that cannot ring the FIFO says so in `unheard`: from then on a thread sleeps on the bell, which that process can
// ring. If none can be started, this look goes on to end each such wait.
bool Waiter::look() {
  if (threaded()) return false;
  const uint32_t unheard = region_->publication().observe<&BellLine::unheard>(region_->bell());
  const bool changed = livesChanged();
  if (unheard != unheard_ && startThread().ok()) unheard_ = unheard;
  return (taken() || changed) && disarmed();
}

Waiter::~Waiter() { stop(); }

// SYNC: this process writes `sleeps`, fences, and then checks the data; a publisher publishes the data, fences, and
// reads `sleeps` (Region::wakeProcesses), a reader of a ring that publishes its cursors the bit of this process first, which
// is set ahead of the fence too (Region::wakeCursorWaiters). So either this process sees the data, or the publisher sees
// `sleeps` and rings, or another publisher has taken `sleeps` and rings; then this process sees the data in the check after
// its next arm().
Fenced Waiter::arm(uint32_t reasons) {
  armed_.store(true, std::memory_order_seq_cst);
  region_->sleepFor(planted("a sleep word without its bit") ? reasons & ~sleepsForFrames : reasons);
  return region_->publication().fullFence();
}

// True while another process has taken the sleep word but has not rung: it may have been killed or stopped in between.
bool Waiter::taken() const {
  return armed_.load(std::memory_order_seq_cst) &&
         region_->publication().observe<&SleepLine::sleeps>(region_->sleep()) == awake;
}

void Waiter::disarm() {
  armed_.store(false, std::memory_order_seq_cst);
  region_->sleepFor(awake);
}

// Count an attachment as a change too: the new process may have the slot of one whose end was missed.
bool Waiter::processesChanged() {
  const Publication& p = region_->publication();
  seen_.resize(region_->layout().geometry.processes, {0, false});
  bool changed = false;
  for (uint32_t i = 0; i < seen_.size(); i += 1) {
    Seen& seen = seen_[i];
    const uint64_t generation = p.observe<&ProcessOwner::generation>(region_->process(i).owner);
    if (generation == seen.generation && !seen.alive) continue;
    const bool alive = region_->processAlive(i, generation);
    if (!alive) region_->forgetFifo(i);
    changed = changed || generation != seen.generation || !alive;
    seen = {generation, alive};
  }
  return changed;
}

// Checks the liveness of processes on time, however often the bell rings.
void Waiter::run(uint32_t heard) {
  using Clock = std::chrono::steady_clock;
  const Publication& p = region_->publication();
  const HostLine<BellLine>& bell = region_->bell();
  Clock::time_point due = Clock::now() + liveness;
  while (!stopping_.load(std::memory_order_seq_cst)) {
    const uint32_t now = p.observe<&BellLine::bell>(bell);
    if (now != heard) {
      heard = now;
      fire();
    } else {
      const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(due - Clock::now());
      if (left.count() > 0) futexWait(p.futexWord<&BellLine::bell>(bell), now, left.count());
    }
    if (Clock::now() < due) continue;
    if (livesChanged() || taken()) fire();
    due = Clock::now() + liveness;
  }
}

// SYNC: counts before disarmed() checks whether a waiter is armed; a waiter checks the count after it arms.
bool Waiter::livesChanged() {
  const bool changed = processesChanged();
  if (changed) lives_.fetch_add(1, std::memory_order_seq_cst);
  const ServerState state = serverState(*region_);
  return changed || state == serverDied || state == serverStopped;
}

// Clears the sleep word with the arm() that it answers, unless a ringer has taken it, so that no process rings before
// the next arm(). It also clears an arm() that comes in between, which the same call answers.
bool Waiter::disarmed() {
  if (!armed_.exchange(false, std::memory_order_seq_cst)) return false;
  region_->wakesUp();
  return true;
}

void Waiter::fire() {
  if (disarmed()) wake_();
}

void Waiter::stop() {
  if (listens_) region_->polls(0);
  if (threaded()) {
    stopping_.store(true, std::memory_order_seq_cst);
    ringBell(region_->publication(), region_->bell());
    thread_.join();
  } else if (!listens_) {
    return;
  }
  listens_ = false;
  disarm();
}

}  // namespace ringfence
