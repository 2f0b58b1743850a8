#include "pass.h"

#include "admission.h"
#include "commit.h"
#include "lease.h"
#include "publishing.h"
#include "region/planted.h"
#include "retention.h"
#include "scan.h"
#include "sessions.h"
#include "topic_places.h"

namespace ringfence::sequencing {

namespace {

// A publisher that is idle waits for the end alone, and one that waits for its admission may be fenced meanwhile.
uint32_t reasonsToWake(const SequencerState& order, bool adopted) {
  uint32_t reasons = sleepsForData;
  if (adopted) reasons |= sleepsForAdmission;
  if (order.endsToTell) reasons |= sleepsForAdmission | sleepsForEnd;
  return reasons;
}

}  // namespace

bool pass(SequencerState& order, bool commitNow, Sweep sweep) {
  order.totals.passes += 1;
  bool moved = adoptTopics(order);
  const bool adopted = adoptSessions(order, sweep);
  moved |= adopted;
  moved |= scanLanes(order, sweep);
  moved |= endOutlivedSessions(order);
  if (!order.ready.empty() && (commitNow || epochDue(order))) moved |= commit(order);
  publishSessions(order);
  moved |= endSessions(order);
  moved |= answerWish(order);
  moved |= followReaders(order);
  moved |= makeRoom(order);
  if (moved) {
    publishAll(order);
    order.region.wakeProcesses(reasonsToWake(order, adopted));
    order.endsToTell = false;
  }
  return moved;
}

bool pass(SequencerState& order, const Fenced&) {
  return pass(order, false, planted("a share ahead of a sleep") ? Sweep::share : Sweep::whole);
}

}  // namespace ringfence::sequencing
