#include "doorbells.h"

#include <bit>

#include "epochs.h"
#include "futex.h"
#include "planted.h"
#include "region.h"

namespace ringfence {

namespace {

static_assert(processesMax == cursorWaiterLines * slotsOfWaiterLine);

// An eventcount. Of several publishers one takes the sleep word with all its bits, and only that one rings: so each
// sleep costs at most one system call, and a sleeper that died costs one ever. The others rely on it, because a woken
// sleeper checks everything that it waits for. In case the ringer is killed or stopped between taking and ringing, the
// sleeper checks its own word ten times a second (Waiter::run, Waiter::look, Sequencer::sleep).
bool takes(const Publication& p, const Fenced& fenced, HostLine<SleepLine>& sleep, uint32_t reasons) {
  return (p.observeBehind<&SleepLine::sleeps>(fenced, sleep) & reasons) != 0 && p.take<&SleepLine::sleeps>(sleep) != awake;
}

}  // namespace

uint32_t ringBell(const Publication& p, HostLine<BellLine>& bell) {
  p.ring<&BellLine::bell>(bell);
  return futexWake(p.futexWord<&BellLine::bell>(bell));
}

// SYNC: the full fence orders the publication before it against the read of the sleep word; the sleeper writes that
// word, fences, and checks again before it sleeps (waiter.cc, sequencer.cc). One of the two sees the other.
// Rings the sequencer of the newest epoch that serves. A successor that this look missed has not scanned yet: it scans
// behind its publication, so it finds what was published before.
void Region::wakeSequencer(uint32_t reasons) const {
  const Fenced fenced = publication_.fullFence();
  const Epoch epoch = headsOf(*this, fenced).served;
  if (epoch.state != EpochState::serving) return;
  EpochBlockHead& block = blockHead(epoch.number);
  if (takes(publication_, fenced, block.sleep, reasons)) ringBell(publication_, block.bell);
}

void Region::wakeProcesses(uint32_t reasons) const { wakeProcesses(publication_.fullFence(), reasons); }

void Region::wakeProcesses(const Fenced& fenced, uint32_t reasons) const {
  for (uint32_t i = 0; i < layout_.geometry.processes; i += 1) wakeProcess(fenced, i, reasons);
}

Rung Region::wakeProcess(const Fenced& fenced, uint32_t slot, uint32_t reasons) const {
  if (slot >= layout_.geometry.processes) return Rung::notAsleep;
  HostLine<SleepLine>& sleep = process(slot).sleep;
  if (!takes(publication_, fenced, sleep, reasons)) return Rung::notAsleep;
  return ringOne(process(slot).bell, slot, publication_.observe<&SleepLine::fifo>(sleep));
}

// SYNC: the full fence orders a reader's cursors against the read of the waiters' bits; a waiter sets its bit, and its sleep
// word, ahead of the fence behind which it looks at the cursors (Waiter::arm). One of the two sees the other. A bit that
// stands for a process which does not sleep for cursors costs a look at its sleep word. It is left as it is: its process,
// which finds it set, may be about to rely on it.
void Region::wakeCursorWaiters(const Fenced& fenced) const {
  const Site site{};
  const uint32_t lines = (layout_.geometry.processes + slotsOfWaiterLine - 1) / slotsOfWaiterLine;
  for (uint32_t i = 0; i < lines; i += 1) {
    HostLine<CursorWaiters>& line = header().cursorWaiters[i];
    for (uint64_t left = publication_.observeBehind<&CursorWaiters::slots>(fenced, line, site); left != 0; left &= left - 1) {
      const auto bit = static_cast<uint32_t>(std::countr_zero(left));
      const Rung rung = wakeProcess(fenced, i * slotsOfWaiterLine + bit, sleepsForCursor);
      if (rung != Rung::notAsleep || !planted("a ringer takes a waiter's bit back")) continue;
      publication_.lower<&CursorWaiters::slots>(role::Sleeper(), line, uint64_t{1} << bit, site);
    }
  }
}

// SYNC: the bit is set ahead of the fence that follows (Waiter::arm); pairs with the read of it in
// Region::wakeCursorWaiters. It is set and cleared by the process that holds the slot alone, on one thread of it: so it is
// never cleared while the process sleeps for cursors. A process that was killed leaves it set, for the slot's next one.
void Region::waitForCursors(bool waits, Site site) const {
  HostLine<CursorWaiters>& line = header().cursorWaiters[slot_ / slotsOfWaiterLine];
  const uint64_t own = uint64_t{1} << slot_ % slotsOfWaiterLine;
  const bool stands = (publication_.observe<&CursorWaiters::slots>(line, site) & own) != 0;
  if (waits && !stands && !planted("a wait for cursors without its bit")) publication_.raise<&CursorWaiters::slots>(role::Sleeper(), line, own, site);
  if (!waits && stands) publication_.lower<&CursorWaiters::slots>(role::Sleeper(), line, own, site);
}

void Region::sleepFor(uint32_t reasons, Site site) const {
  waitForCursors((reasons & sleepsForCursor) != 0, site);
  publication_.set<&SleepLine::sleeps>(role::Sleeper(), sleep(), reasons, site);
}

// SYNC: the FIFO is read behind the sleep word, and its sleeper sets it ahead of the fence behind which it looks and sleeps
// (Waiter::arm). Where the FIFO does not take the byte (it lies in another mount namespace, this user may not write it, no
// descriptor is left) the bell is a futex, in case a thread of the sleeper's sleeps there; and where no thread does, the
// sleeper learns from `unheard` that it needs one, at its next look at its own word (Waiter::look).
Rung Region::ringOne(HostLine<BellLine>& bell, uint32_t slot, uint64_t fifo) const {
  publication_.ring<&BellLine::bell>(bell);
  if (rungFifos_.ring(*this, slot, fifo)) return Rung::woke;
  if (planted("a ring that no FIFO takes is kept quiet")) return Rung::unheard;
  if (futexWake(publication_.futexWord<&BellLine::bell>(bell)) != 0) return Rung::woke;
  if (fifo != 0) publication_.ring<&BellLine::unheard>(bell);
  return Rung::unheard;
}

// SYNC: each writes its own word, fences, and reads those of the others: of processes that begin together each but one sees
// more than it allows. All may: then all sleep, which costs a wake-up. One that was killed while it looked has no lock.
bool Region::beginLook(uint32_t others) const {
  publication_.set<&SleepLine::looks>(role::Sleeper(), sleep(), planted("a look that others do not see") ? 0 : 1);
  const Fenced fenced = publication_.fullFence();
  uint32_t found = 0;
  for (uint32_t i = 0; i < layout_.geometry.processes && found <= others; i += 1) {
    ProcessSlot& other = process(i);
    if (i == slot_ || publication_.observeBehind<&SleepLine::looks>(fenced, other.sleep) == 0) continue;
    if (processAlive(i, publication_.observe<&ProcessOwner::generation>(other.owner))) found += 1;
  }
  if (found > others) endLook();
  return found <= others;
}

}  // namespace ringfence
