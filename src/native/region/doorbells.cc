#include "doorbells.h"

#include "epochs.h"
#include "futex.h"
#include "region.h"

namespace ringfence {

namespace {

// An eventcount. Of several publishers one takes the sleep word with all its bits, and only that one rings: so each
// sleep costs at most one system call, and a sleeper that died costs one ever. The others rely on it, because a woken
// sleeper checks everything that it waits for. In case the ringer is killed or stopped between taking and ringing, the
// sleeper checks its own word ten times a second (Waiter::run, Sequencer::sleep).
Rung ringIf(const Publication& p, const Fenced& fenced, HostLine<SleepLine>& sleep, HostLine<BellLine>& bell,
            uint32_t reasons) {
  if ((p.observeBehind<&SleepLine::sleeps>(fenced, sleep) & reasons) == 0) return Rung::notAsleep;
  if (p.take<&SleepLine::sleeps>(sleep) == awake) return Rung::notAsleep;
  return ringBell(p, bell) == 0 ? Rung::unheard : Rung::woke;
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
  ringIf(publication_, fenced, block.sleep, block.bell, reasons);
}

void Region::wakeProcesses(uint32_t reasons) const { wakeProcesses(publication_.fullFence(), reasons); }

void Region::wakeProcesses(const Fenced& fenced, uint32_t reasons) const {
  for (uint32_t i = 0; i < layout_.geometry.processes; i += 1) wakeProcess(fenced, i, reasons);
}

Rung Region::wakeProcess(const Fenced& fenced, uint32_t slot, uint32_t reasons) const {
  if (slot >= layout_.geometry.processes) return Rung::notAsleep;
  return ringIf(publication_, fenced, process(slot).sleep, process(slot).bell, reasons);
}

}  // namespace ringfence
