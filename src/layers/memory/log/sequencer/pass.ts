/**
 * The total order. One pass does, in this order:
 *
 *     adopt topics and sessions ─► scan lanes ─► count leases ─► commit the epoch ─► end sessions ─► follow readers
 *       ─► make room
 *
 * The passes of this backend and of the native one agree batch for batch: change a rule in both.
 */
import { adoptSessions, adoptTopics } from "./admission.ts"
import { commit, epochDue } from "./commit.ts"
import { endOutlived } from "./lease.ts"
import { followReaders, makeRoom } from "./retention.ts"
import { scanLanes } from "./scan.ts"
import type { SequencerState } from "./SequencerState.ts"
import { endSessions } from "./sessions.ts"

/** Makes one pass. True when it changed anything that a client may wait for. */
export const pass = (order: SequencerState, commitNow: boolean): boolean => {
  order.passes += 1
  let moved = adoptTopics(order)
  moved = adoptSessions(order) || moved
  moved = scanLanes(order) || moved
  moved = endOutlived(order) || moved
  if (order.ready.length > 0 && (commitNow || epochDue(order))) moved = commit(order) || moved
  moved = endSessions(order) || moved
  moved = followReaders(order) || moved
  moved = makeRoom(order) || moved
  if (moved && order.ready.length === 0) acknowledge(order)
  return moved
}

// Call it only with no epoch open: emitted batches are acknowledged once they are committed, not before.
const acknowledge = (order: SequencerState): void => {
  for (const session of order.active) {
    if (session.dirty) session.acknowledge()
  }
}
