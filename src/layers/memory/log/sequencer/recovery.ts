/**
 * What a server begins with that continues the log of a dead one. It is built from what stands in the region, as over shared
 * memory: the indexes, the lanes with their frontiers, the acknowledged prefixes of sessions, and the facts about what is
 * committed above them. Nothing is taken over that only the dead server knew.
 *
 * What was emitted and not committed was promised to no client: it goes back into the windows of its sessions, and is
 * ordered anew, perhaps in another order of sessions.
 */
import type { Descriptor, Heap, Lane, LaneSlot, Pending, Session } from "../LogState.ts"
import { releaseSlots } from "./retention.ts"
import { emit } from "./scan.ts"
import type { SequencerState } from "./SequencerState.ts"

/** The death of a server: what it alone knew is gone. */
export const forget = (order: SequencerState): void => {
  order.begin()
  for (const topic of order.heap.topics) {
    topic.pending = 0
    topic.gatingSlot = topic.gatingSinceMicros = undefined
    // Until its replicas have told the next server more.
    topic.synced = topic.trimmed
    topic.gatesUnreplicated = false
  }
  for (const session of order.active) backToPrefix(session)
  for (const lane of order.heap.lanes.flat()) lane.slots.fill(undefined)
}

/** Begins with the log of a server that has died. */
export const recover = (order: SequencerState): void => {
  const { heap } = order
  for (const { facts, window } of order.active) {
    for (const [batch, messageCount] of facts) window.set(batch, { emitted: true, messageCount })
  }
  const entries = entriesOf(heap)
  for (const lane of heap.lanes.flat()) recoverLane(lane, entries)
  // Under `session` the next pass emits them once their turn has come.
  for (const session of order.active) {
    if (session.topic.holds) continue
    for (const batch of session.window.values()) if (!batch.emitted) emit(order, session, batch)
  }
}

// --- internal ---

// A lease begins anew, and a close, a claim of its identity or damage that is still there is found anew.
const backToPrefix = (session: Session): void => {
  session.expected = session.acknowledgedBatches
  session.expectedMessages = session.acknowledgedMessages
  session.window.clear()
  session.held = session.gapMicros = 0
  session.gapSinceMicros = session.endReason = undefined
  session.dirty = true
  for (const lane of session.lanes) {
    lane.held = 0
    lane.drained = false
  }
}

/** The entries that the indexes keep, by what they name. */
const entriesOf = (heap: Heap): ReadonlyMap<Descriptor, number> => {
  const found = new Map<Descriptor, number>()
  for (const topic of heap.topics) {
    for (let index = topic.trimmed; index < topic.committedBatches; index += 1) {
      found.set(topic.entry(index)!.descriptor, index)
    }
  }
  return found
}

// Sessions of a slot follow each other in its lanes: batches of former ones stay there as long as an index keeps them.
const recoverLane = (lane: Lane, entries: ReadonlyMap<Descriptor, number>): void => {
  for (let laneIndex = lane.released; laneIndex < lane.scanned; laneIndex += 1) {
    const descriptor = lane.descriptor(laneIndex)!
    const { payloadPosition, session } = descriptor
    const entry = entries.get(descriptor) ?? -1
    const state = entry >= 0 ? "ordered" : stateOf(lane, descriptor)
    lane.slots[laneIndex % lane.slots.length] = { state, topic: session.topic, payloadPosition, entry }
  }
  releaseSlots(lane)
}

// Of a batch that no index keeps. What was committed and trimmed, and each further copy of a batch, is done.
const stateOf = (lane: Lane, descriptor: Descriptor): LaneSlot["state"] => {
  const { batchSequence, session } = descriptor
  if (session.state !== "active") return "done"
  if (!session.topic.isOrdered) return "unordered"
  if (batchSequence < session.expected || session.window.has(batchSequence)) return "done"
  const at = session.lanes.find((own) => own.lane === lane)!
  const pending: Pending = { descriptor, lane: at, emitted: false }
  session.window.set(batchSequence, pending)
  session.held += 1
  at.held += 1
  return "held"
}
