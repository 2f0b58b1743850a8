// The start of a sequencer: begins a log, or takes it over from a server that is dead or suspect.
//
//   election lock ─► the server is dead? ─► lock of a block ─► head: announced │ fence │ heads again
//   ─► reads the former epoch ─► recovers ─► writes the whole block ─► head: serving ─► wakes all
//
// A death at any step leaves a block whose lock is free and whose epoch never served: the next candidate begins anew.
#include "publishing.h"
#include "recovery.h"
#include "region/futex.h"
#include "region/planted.h"
#include "region/server.h"
#include "sequencer.h"

namespace ringfence {

// A candidate that was refused has failed in each case, so that its process may try again: another one that was faster may die.
Status Sequencer::start(uint64_t suspected) {
  const std::lock_guard<std::mutex> starting(starting_);
  const Status status = elected(suspected);
  if (status.ok()) return status;
  thread_.join();
  failed_.store(true, std::memory_order_seq_cst);
  return status;
}

// The election lock keeps standbys from deposing each other's recoveries in turn. It is no condition of safety: a suspicious
// candidate passes by its holder.
Status Sequencer::elected(uint64_t suspected) {
  if (stopping_.load(std::memory_order_seq_cst)) return Status::failed("closed", "it was stopped");
  const bool suspicious = suspected != 0 && headsOf(*region_).newest.number == suspected;
  if (region_->servedEpoch() != 0 || (!region_->tryLockElection() && !suspicious)) {
    return Status::failed("busy", "another process serves its log, or takes it over");
  }
  const Status status = takeOver(suspected);
  region_->unlockElection();
  return status;
}

Status Sequencer::takeOver(uint64_t suspected) {
  const Heads heads = headsOf(*region_);
  const uint64_t blocks = region_->layout().geometry.epochBlocks;
  if (!heads.known) return Status::failed("corrupt", "the head of an epoch was damaged from outside");
  if (heads.newest.state == EpochState::stopped) return Status::failed("ended", "its log has ended in good order");
  const bool alive = heads.newest.number != 0 && region_->blockHeld(heads.newest.number % blocks);
  if (alive && heads.newest.number != suspected) return Status::failed("busy", "its sequencer runs already");
  // Hold the region, so that its name stays when its creator closes: clients attach by it.
  Status status = region_->hold();
  if (!status.ok()) return status;
  const uint64_t since = monotonicNanos();
  // Start the thread before the epoch begins, which waits for the lock: an epoch must not begin without a thread to serve it.
  const std::lock_guard<std::mutex> lock(mutex_);
  status = order_.options.manual ? Status::fine() : thread_.start("rf-sequencer", [this] { run(); });
  if (status.ok()) status = lockBlock(heads);
  if (!status.ok()) return status;
  uint64_t former = 0;
  status = announce(former);
  if (!status.ok()) {
    giveBack();
    return status;
  }
  recover(former);
  const bool ended = headsOf(*region_).served.state == EpochState::stopped;
  publishHead(ended ? EpochState::stopped : EpochState::serving);
  recovery_.micros = (monotonicNanos() - since) / 1000;
  if (ended) {
    giveBack();
    region_->wakeProcesses(sleepsForAll);
    return Status::failed("ended", "its log has ended in good order");
  }
  stopped_ = false;
  region_->serve(order_.epoch);
  region_->wakeProcesses(sleepsForAll);
  return status;
}

// Takes a block other than that of the newest epoch that served, for the least epoch above all. Looks again under the lock.
Status Sequencer::lockBlock(const Heads& heads) {
  const uint64_t blocks = region_->layout().geometry.epochBlocks;
  for (uint64_t epoch = heads.newest.number + 1; epoch <= heads.newest.number + blocks; epoch += 1) {
    const uint64_t block = epoch % blocks;
    if (heads.served.number != 0 && block == heads.served.number % blocks) continue;
    if (!region_->tryLockBlock(block)) continue;
    const Heads again = headsOf(*region_);
    if (again.known && again.newest.number == heads.newest.number && again.newest.state == heads.newest.state) {
      order_.epoch = epoch;
      hasBlock_ = true;
      return Status::fine();
    }
    region_->unlockBlock();
    return Status::failed("busy", "another process serves its log, or takes it over");
  }
  return blocked();
}

Status Sequencer::blocked() const {
  std::string holders;
  for (const EpochProcess& at : epochsOf(*region_)) {
    if (!at.held) continue;
    if (!holders.empty()) holders += ", ";
    holders += "\"" + at.name + "\" (pid " + std::to_string(at.pid.pid) + (at.pid.foreign ? " of another pid namespace)" : ")");
  }
  if (holders.empty()) return Status::failed("blocked", "it has no block for another epoch");
  return Status::failed("blocked", "no block for another epoch is free: they are held by " + holders);
}

// SYNC: publishes that the epoch is announced, fences, and reads the heads again, and behind that the former epoch; a process
// that reads a promise fences behind it and looks for an announcement (EpochView::believes).
Status Sequencer::announce(uint64_t& former) {
  const Publication p = region_->publication();
  p.on(order_.role, region_->blockHead(order_.epoch).head)
      .set<&BlockHead::process>(region_->slot())
      .set<&BlockHead::processGeneration>(region_->generation())
      .set<&BlockHead::pid>(static_cast<uint32_t>(getpid()))
      .set<&BlockHead::pidNamespace>(ownPidNamespace())
      .set<&BlockHead::source>(headsOf(*region_).served.number);
  publishHead(EpochState::announced);
  const Heads heads = headsOf(*region_, p.fullFence());
  former = heads.served.number;
  if (heads.newest.number == order_.epoch) return Status::fine();
  return Status::failed("busy", "another process takes its log over");
}

void Sequencer::recover(uint64_t former) {
  order_.pulse = region_->publication().observe<&ServiceLine::pulse>(region_->blockHead(order_.epoch).service);
  publishPulse(order_);
  sequencing::Former left;
  if (former != 0) {
    left = readFormer(order_, former);
    const EpochProcess process = processOf(*region_, former % region_->layout().geometry.epochBlocks);
    recovery_ = {former, process.pid, process.name, 0, 0, 0, 0};
  }
  sequencing::recover(order_, left);
  writeBlock(order_, left, role::Broker());
  region_->publication().set<&SleepLine::sleeps>(role::Sleeper(), region_->blockHead(order_.epoch).sleep, awake);
  for (const sequencing::Topic& topic : order_.topics) {
    recovery_.batches += topic.committed - topic.trim;
    recovery_.messages += topic.messages;
  }
  for (const sequencing::Session& session : order_.sessions) recovery_.sessions += session.active ? 1 : 0;
}

// SYNC: pairs with the observes in headsOf. What the block holds was published before.
void Sequencer::publishHead(EpochState state) {
  headState_ = state;
  const uint64_t word = headWordOf({order_.epoch, state});
  region_->publication()
      .on(order_.role, region_->blockHead(order_.epoch).head)
      .publish<&BlockHead::word>(word)
      .publish<&BlockHead::again>(word);
}

}  // namespace ringfence
