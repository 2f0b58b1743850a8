#include "doorbells.h"

#include "futex.h"
#include "region.h"

namespace ringfence {

namespace {

// An eventcount. Of all who find what the sleeper waits for one takes the word, all of its bits, and that one rings: so a
// sleeper costs one call of the system between two times that it goes to sleep, and one that died in its sleep costs one
// call ever. Who finds the word taken relies on the one that took it: the sleeper looks after all it waits for when it is
// rung. A process that is killed or stopped between taking and ringing is made up for by the sleeper, which looks at its
// own word ten times a second (Waiter::run, Sequencer::sleep).
Rung ringIf(const Publication& p, SleepLine& sleep, BellLine& bell, uint32_t reasons) {
  if ((p.read(sleep.sleeps) & reasons) == 0) return Rung::notAsleep;
  if (p.take(sleep.sleeps) == awake) return Rung::notAsleep;
  p.ring(bell.bell);
  return futexWake(&bell.bell) == 0 ? Rung::unheard : Rung::woke;
}

}  // namespace

// SYNC: the full fence orders what was published before against the sleepers' word; the sleeper writes that word,
// fences, and looks again before it sleeps (waiter.cc, sequencer.cc). One of the two sees the other.
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
