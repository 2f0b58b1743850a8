#include "lease.h"

#include <algorithm>

#include "region/futex.h"

namespace ringfence::sequencing {

namespace {

constexpr uint64_t leaseSteps = 8;

// Only under order `session`: under `total` a gap holds no other batch back, and under `none` there is no gap.
bool hasGap(const Session& session) {
  return session.active && !session.ending && session.order == orderSession && session.held != 0 && session.gapSinceNanos != 0;
}

// Whether the missing batch is in no lane, as far as the publisher has published. It may be, while a scan was cut short: for
// want of room in the index, or because it had taken enough for one pass.
bool scannedToTails(const SequencerState& order, uint32_t client) {
  for (uint32_t b = 0; b < order.geometry.brokers; b += 1) {
    if (!order.lanes[laneOf(order, b, client)].tail) return false;
  }
  return order.sessions[client].swept;
}

// A pass counts its distance to the one before, at most a step: so a sequencer that was stopped or paused counts one step.
void count(const SequencerState& order, uint32_t client, Session& session, uint64_t now) {
  const bool first = session.gapCountedNanos == 0 || session.gapExpected != session.expected;
  const uint64_t passed = first ? 0 : now - session.gapCountedNanos;
  if (first) session.gapNanos = 0;
  session.gapCountedNanos = now;
  session.gapExpected = session.expected;
  if (scannedToTails(order, client)) session.gapNanos += std::min(passed, leaseStepNanos(order));
}

}  // namespace

uint64_t leaseStepNanos(const SequencerState& order) { return order.options.leaseMillis * 1'000'000 / leaseSteps; }

bool endOutlivedSessions(SequencerState& order) {
  order.leaseRuns = false;
  if (order.options.leaseMillis == 0) return false;
  bool ended = false;
  for (const uint32_t i : order.active) {
    Session& session = order.sessions[i];
    if (!hasGap(session)) {
      session.gapCountedNanos = 0;
      continue;
    }
    count(order, i, session, monotonicNanos());
    if (session.gapNanos >= leaseSteps * leaseStepNanos(order)) {
      session.endReason = endOutlived;
      session.ending = ended = true;
    } else {
      order.leaseRuns = true;
    }
  }
  return ended;
}

}  // namespace ringfence::sequencing
