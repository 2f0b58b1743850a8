/**
 * What a server begins with that continues the log of a dead one: the committed order, and batches in lanes.
 *
 * What was emitted and not committed was promised to no client: it goes back into the windows of its sessions, and is
 * ordered anew, perhaps in another order of sessions.
 */
import type { Pending, Session } from "../LogState.ts"
import { emit } from "./scan.ts"
import type { SequencerState } from "./SequencerState.ts"

/** Forgets what the dead server alone knew, and goes on from what stood in the region. */
export const recover = (order: SequencerState): void => {
  const passed = order.passed.splice(0)
  for (const { batch, session } of passed.toReversed()) goBack(session, batch)
  const uncommitted = order.ready.splice(0)
  for (const { batch, session } of uncommitted) withdraw(session, batch)
  for (const topic of order.heap.topics) {
    topic.pending = 0
    topic.synced = topic.trimmed
  }
  order.firstClient = 0
  order.paused = false
  order.passes =
    order.commits =
    order.batches =
    order.messages =
    order.duplicates =
    order.purged =
      0
  for (const session of order.active) {
    session.dirty = true
    session.gapSinceMicros = undefined
    // A lease begins anew, and a claim that is still there fences anew.
    if (session.endReason === "outlived" || session.endReason === "fenced") session.endReason = undefined
  }
  // Under `session` the next pass emits them once their turn has come.
  for (const { batch, session } of uncommitted) if (!session.topic.holds) emit(order, session, batch)
}

// --- internal ---

// A passed batch that was committed before stays emitted: the prefix passes it again, and nothing commits it twice.
const goBack = (session: Session, batch: Pending): void => {
  const { batchSequence, messageCount } = batch.descriptor
  session.window.set(batchSequence, batch)
  session.expected = batchSequence
  session.expectedMessages -= messageCount
}

const withdraw = (session: Session, batch: Pending): void => {
  batch.emitted = false
  session.held += 1
  batch.lane.held += 1
}
