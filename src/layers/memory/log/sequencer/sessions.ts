/**
 * Ends a session at its committed prefix, once all batches that it published are scanned. Under order `none` it ends
 * once all attached readers have taken them: the slot's next session may use the same lanes for another topic.
 */
import { publishedAt } from "../descriptors.ts"
import { endsAtOnce, type Session, type SessionLane } from "../LogState.ts"
import { takeIdentity } from "./identities.ts"
import { releaseSlots } from "./retention.ts"
import type { SequencerState } from "./SequencerState.ts"
import { deliver, isTaken, seenBatches, seenMessages } from "./unordered.ts"

export const endSessions = (order: SequencerState): boolean => {
  let moved = false
  for (const session of order.active) {
    if (session.endReason === undefined || !isSeen(order, session) || !isTaken(session)) continue
    purge(order, session)
    drop(session)
    session.acknowledge()
    session.state = "ended"
    takeIdentity(session)
    order.heap.leave(session.topic)
    order.events.push({
      _tag: "SessionEnded",
      sessionId: session.id,
      topic: session.topic.name,
      order: session.topic.declaration.order,
      reason: session.endReason,
      committedBatches: session.topic.isOrdered ? session.expected : seenBatches(session),
      committedMessages: session.topic.isOrdered ? session.expectedMessages : seenMessages(session),
      purgedBatches: session.purged
    })
    moved = true
  }
  return moved
}

const isSeen = ({ ready }: SequencerState, session: Session): boolean => {
  if (ready.length > 0) return false
  if (endsAtOnce(session)) return true
  return session.lanes.every(({ drained }) => drained) && !session.window.has(session.expected)
}

// Drops the batches held behind a gap, which can never be ordered now, and frees their lane slots.
const purge = (order: SequencerState, session: Session): void => {
  for (const held of session.window.values()) {
    if (held.emitted) continue
    const { descriptor, lane } = held
    lane.lane.slot(descriptor.laneIndex).state = "done"
    lane.held -= 1
    lane.purged += 1
    session.held -= 1
    session.purged += 1
    order.purged += 1
    releaseSlots(lane.lane)
  }
  session.window.clear()
  for (const lane of session.lanes) purgeUnscanned(order, session, lane)
  session.gapSinceMicros = undefined
}

// Counts what stays in the lane unscanned, as a session's lanes are not scanned once it ends at once.
const purgeUnscanned = (order: SequencerState, session: Session, at: SessionLane): void => {
  const { lane } = at
  for (
    let i = lane.scanned;
    i - lane.released < lane.slots.length && publishedAt(session, lane, i) !== undefined;
    i += 1
  ) {
    at.purged += 1
    session.purged += 1
    order.purged += 1
  }
}

// Frees the slots of batches that no reader needs any more, because they were not put into an order.
const drop = ({ lanes, topic }: Session): void => {
  if (topic.isOrdered) return
  for (const at of lanes) {
    deliver(topic, at)
    const { first, lane } = at
    for (let laneIndex = Math.max(first, lane.released); laneIndex < lane.scanned; laneIndex += 1) {
      lane.slot(laneIndex).state = "done"
    }
    releaseSlots(lane)
  }
}
