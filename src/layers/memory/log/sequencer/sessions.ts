/**
 * Ends a session at its committed prefix, once all batches that it published are scanned.
 */
import type { Session } from "../LogState.ts"
import { releaseSlots } from "./retention.ts"
import type { SequencerState } from "./SequencerState.ts"

export const endSessions = (order: SequencerState): boolean => {
  let moved = false
  for (const session of order.active) {
    if (session.endReason === undefined || !isSeen(order, session)) continue
    purge(order, session)
    session.acknowledge()
    session.state = "ended"
    order.heap.leave(session.topic)
    order.events.push({
      _tag: "SessionEnded",
      sessionId: session.id,
      topic: session.topic.name,
      reason: session.endReason,
      committedBatches: session.expected,
      committedMessages: session.expectedMessages,
      purgedBatches: session.purged
    })
    moved = true
  }
  return moved
}

const isSeen = ({ ready }: SequencerState, session: Session): boolean => {
  if (ready.length > 0 || session.lanes.some(({ drained }) => !drained)) return false
  return session.endReason === "corrupt" || !session.window.has(session.expected)
}

// Drops the batches held behind a gap, which can never be ordered now, and frees their lane slots.
const purge = (order: SequencerState, session: Session): void => {
  for (const { descriptor, emitted, lane } of session.window.values()) {
    if (emitted) continue
    lane.lane.slot(descriptor.laneIndex).state = "done"
    lane.held -= 1
    lane.purged += 1
    session.held -= 1
    session.purged += 1
    order.purged += 1
    releaseSlots(lane.lane)
  }
  session.window.clear()
  session.gapSinceMicros = undefined
}
