#include "doorbells.h"

#include "futex.h"
#include "region.h"

namespace ringfence {

namespace {

// An eventcount. Of several publishers one takes the sleep word with all its bits, and only that one rings: so each
// sleep costs at most one system call, and a sleeper that died costs one ever. The others rely on it, because a woken
// sleeper checks everything that it waits for. In case the ringer is killed or stopped between taking and ringing, the
// sleeper checks its own word ten times a second (Waiter::run, Sequencer::sleep).
Rung ringIf(const Publication& p, SleepLine& sleep, BellLine& bell, uint32_t reasons) {
  if ((p.read(sleep.sleeps) & reasons) == 0) return Rung::notAsleep;
  if (p.take(sleep.sleeps) == awake) return Rung::notAsleep;
  p.ring(bell.bell);
  return futexWake(&bell.bell) == 0 ? Rung::unheard : Rung::woke;
}

}  // namespace

// SYNC: the full fence orders the publication before it against the read of the sleep word; the sleeper writes that
// word, fences, and checks again before it sleeps (waiter.cc, sequencer.cc). One of the two sees the other.
void Region::wakeSequencer(uint32_t reasons) const {
  publication_.fullFence();
  ringIf(publication_, header().sequencerSleep, header().sequencerBell, reasons);
}

void Region::wakeProcesses(uint32_t reasons) const {
  publication_.fullFence();
  for (uint32_t i = 0; i < layout_.geometry.processes; i += 1) wakeProcess(i, reasons);
}

Rung Region::wakeProcess(uint32_t slot, uint32_t reasons) const {
  if (slot >= layout_.geometry.processes) return Rung::notAsleep;
  return ringIf(publication_, process(slot).sleep, process(slot).bell, reasons);
}

}  // namespace ringfence
