/**
 * Order `none`: how far the attached readers have taken each lane. The sequencer takes no part in the delivery; it only
 * releases the room of lanes, and lets sessions end, once all attached readers have taken the batches.
 *
 *     │ taken by all readers │ taken by some │ found by none │
 *     first               slowest          fastest        published
 */
import type { UntakenSessions } from "../../../log/sessionAdmission.ts"
import { takenBy } from "../LanePort.ts"
import { activeSessionsOf, type Heap, type HeapTopic, type Session, type SessionLane } from "../LogState.ts"

/**
 * The descriptors of the lane that every attached reader has released, and the slot of the first of the readers that
 * has released fewest. All that are scanned, and no slot, when no reader is attached.
 */
export const takenUpTo = (
  topic: HeapTopic,
  at: SessionLane
): { readonly cursor: number; readonly slot: number | undefined } => {
  let cursor = at.lane.scanned
  let slowest: number | undefined
  for (const [slot, reader] of topic.readers.entries()) {
    const taken = reader === undefined ? Infinity : Math.max(takenBy(reader, at), at.lane.released)
    if (reader === undefined || (slowest !== undefined && taken >= cursor)) continue
    cursor = Math.min(taken, at.lane.scanned)
    slowest = slot
  }
  return { cursor, slot: slowest }
}

/** Whether no attached reader needs the session's lanes any more. */
export const isTaken = (session: Session): boolean =>
  session.topic.isOrdered || session.lanes.every((at) => takenUpTo(session.topic, at).cursor === at.lane.scanned)

/** Counts as delivered the batches that every attached reader has released. */
export const followLanes = (heap: Heap): boolean => {
  let moved = false
  for (const { lane, topic } of unorderedLanes(heap)) moved = deliver(topic, lane) || moved
  return moved
}

/** The same for one lane. Without a reader nothing is delivered. */
export const deliver = (topic: HeapTopic, at: SessionLane): boolean => {
  const { cursor, slot } = takenUpTo(topic, at)
  const from = Math.max(at.deliveredTo, at.lane.released, at.first)
  if (slot === undefined || cursor <= from) return false
  for (let laneIndex = from; laneIndex < cursor; laneIndex += 1) {
    at.delivered += 1
    at.deliveredMessages += at.lane.descriptor(laneIndex)!.messageCount
  }
  at.deliveredTo = cursor
  return true
}

/** Names the reader for which a session that has closed or died cannot end yet. */
export const noteUntaken = (heap: Heap): void => {
  for (const { lane, session, topic } of unorderedLanes(heap)) {
    if (session.endReason === undefined) continue
    const { cursor, slot } = takenUpTo(topic, lane)
    if (cursor < lane.lane.scanned) topic.gatingSlot ??= slot
  }
}

/** The sessions of a topic that have closed or died, and do not end before a reader has taken them. */
export const untakenSessions = (heap: Heap): UntakenSessions | undefined => {
  for (const topic of heap.topics) {
    const reader = topic.isOrdered ? undefined : topic.gate
    const untaken = activeSessionsOf(heap, topic).filter(({ closing }) => closing)
    if (reader === undefined || untaken.length === 0) continue
    return {
      count: untaken.length,
      slots: heap.geometry.clients,
      topic: topic.name,
      reader: { name: reader.name, pid: process.pid, own: true }
    }
  }
  return undefined
}

/** The batches of the session that were published, as far as the sequencer has seen them. */
export const seenBatches = ({ lanes }: Session): number => lanes.reduce((sum, { scanned }) => sum + scanned, 0)

export const seenMessages = ({ lanes }: Session): number =>
  lanes.reduce((sum, { scannedMessages }) => sum + scannedMessages, 0)

// --- internal ---

const unorderedLanes = (heap: Heap) =>
  heap.topics.filter(({ isOrdered }) => !isOrdered).flatMap((topic) =>
    activeSessionsOf(heap, topic).flatMap((session) => session.lanes.map((lane) => ({ topic, session, lane })))
  )
