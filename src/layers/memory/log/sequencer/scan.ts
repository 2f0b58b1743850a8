/**
 * Scans lanes: takes each published batch into the window of its session, and emits it into the open epoch when its
 * turn has come.
 *
 * Under order `session` a batch is held until all earlier batches of its session are emitted. A duplicate is dropped
 * and counted. No session ever waits for another's batches. Under order `none` the scan only notes how far the lane is
 * published: its readers have scanned it for themselves.
 */
import { isValid, publishedAt } from "../descriptors.ts"
import {
  batchBytesOf,
  type Committed,
  type Descriptor,
  type LaneSlot,
  lineBytes,
  type Pending,
  roundUp,
  type Session,
  type SessionLane
} from "../LogState.ts"
import { hasRoomInIndex, releaseSlots } from "./retention.ts"
import { readyLimit, scanBudget, type SequencerState } from "./SequencerState.ts"

export const scanLanes = (order: SequencerState): boolean => {
  const { heap } = order
  const { clients } = heap.geometry
  let moved = false
  for (let turn = 0; turn < clients; turn += 1) {
    const session = heap.sessions[(order.firstClient + turn) % clients]
    if (session?.state !== "active" || isFenced(session)) continue
    moved = emitReady(order, session) || moved
    for (const lane of session.lanes) moved = scanLane(order, session, lane) || moved
  }
  order.firstClient = (order.firstClient + 1) % clients
  return moved
}

/** Emits a batch of the window into the open epoch. */
export const emit = (order: SequencerState, session: Session, pending: Pending): void => {
  if (order.ready.length === 0) order.readySinceMicros = order.heap.monotonicMicros()
  pending.emitted = true
  order.ready.push({ session, batch: pending })
  session.topic.pending += 1
  session.held -= 1
  pending.lane.held -= 1
}

// --- internal ---

// Nothing of a session that is fenced is emitted any more, not even what is scanned: its window is purged.
const isFenced = ({ endReason }: Session): boolean => endReason === "outlived" || endReason === "fenced"

const scanLane = (order: SequencerState, session: Session, at: SessionLane): boolean => {
  at.drained = false
  const wasCorrupt = session.endReason === "corrupt"
  let moved = false
  for (let taken = 0; taken < scanBudget; taken += 1) {
    const descriptor = nextPublished(session, at)
    if (descriptor === undefined) {
      at.drained = true
      break
    }
    if (!mayTake(order, session)) break
    if (!isValid(order.heap.geometry, descriptor, at.lane.payloadEnd)) {
      session.endReason = "corrupt"
      break
    }
    if (!accept(order, session, at, descriptor)) break
    moved = true
  }
  return moved || (session.endReason === "corrupt" && !wasCorrupt)
}

const nextPublished = (session: Session, { lane }: SessionLane): Descriptor | undefined => {
  if (session.endReason === "corrupt" || lane.scanned - lane.released >= lane.slots.length) return undefined
  return publishedAt(session, lane, lane.scanned)
}

/** A topic without an order has no index, so its batches need no room there. */
const mayTake = ({ ready }: SequencerState, { topic }: Session): boolean =>
  !topic.isOrdered || (ready.length < readyLimit && hasRoomInIndex(topic))

// Takes the batch at the lane's scanned frontier into its session's window. Returns false if it must stay in the lane.
const accept = (order: SequencerState, session: Session, at: SessionLane, descriptor: Descriptor): boolean => {
  const { batchSequence } = descriptor
  if (!session.topic.isOrdered) {
    enterLane(session, at, descriptor, "unordered")
    at.scannedMessages += descriptor.messageCount
    return true
  }
  if (batchSequence - session.expected >= windowBatches(order)) {
    // Under `session` the slots bound a correct client's outstanding batches; under `total` its prefix may lag further.
    if (session.topic.holds) session.endReason = "corrupt"
    return false
  }
  const isDuplicate = batchSequence < session.expected || session.window.has(batchSequence)
  enterLane(session, at, descriptor, isDuplicate ? "done" : "held")
  if (isDuplicate) {
    dropDuplicate(order, session, at)
    return true
  }
  const pending: Pending = { descriptor, lane: at, emitted: false }
  session.window.set(batchSequence, pending)
  session.held += 1
  at.held += 1
  if (!session.topic.holds) emit(order, session, pending)
  emitReady(order, session)
  if (!pending.emitted) session.heldTotal += 1
  return true
}

/** The most batches that a session may have outstanding: all slots of all its lanes. */
const windowBatches = ({ heap }: SequencerState): number =>
  2 ** Math.ceil(Math.log2(heap.geometry.brokers * heap.geometry.laneSlots))

const enterLane = (session: Session, at: SessionLane, d: Descriptor, state: LaneSlot["state"]): void => {
  const { lane } = at
  const bytes = batchBytesOf(d.payloadBytes, d.messageCount, d.uniformBytes)
  const { payloadPosition } = d
  lane.slots[lane.scanned % lane.slots.length] = { state, topic: session.topic, payloadPosition, entry: -1 }
  lane.payloadEnd = roundUp(payloadPosition + bytes, lineBytes)
  lane.scanned += 1
  at.scanned += 1
  session.dirty = true
}

const dropDuplicate = (order: SequencerState, session: Session, at: SessionLane): void => {
  at.duplicates += 1
  session.duplicates += 1
  order.duplicates += 1
  releaseSlots(at.lane)
}

const messagesOf = (batch: Pending | Committed): number =>
  "descriptor" in batch ? batch.descriptor.messageCount : batch.messageCount

// Emits the contiguous batches from the expected one on. Under `total` they may be emitted already, and are only
// counted into the prefix.
const emitReady = (order: SequencerState, session: Session): boolean => {
  let moved = false
  for (;;) {
    const pending = session.window.get(session.expected)
    if (pending === undefined) break
    if (!pending.emitted) {
      // A batch says itself how many records came before it: an identity goes on there.
      if (session.topic.holds && pending.descriptor.firstMessage !== session.expectedMessages) {
        session.endReason = "corrupt"
        break
      }
      if (!hasRoomInIndex(session.topic)) break
      emit(order, session, pending)
    }
    session.window.delete(session.expected)
    session.expected += 1
    session.expectedMessages += messagesOf(pending)
    session.dirty = moved = true
  }
  noteGap(order, session, moved)
  return moved
}

// A gap begins anew whenever the prefix grows. Batches that only wait for room in the index are not a gap.
const noteGap = ({ heap }: SequencerState, session: Session, moved: boolean): void => {
  if (session.held === 0 || session.window.has(session.expected)) {
    session.gapSinceMicros = undefined
  } else if (session.gapSinceMicros === undefined || moved) {
    session.gapSinceMicros = heap.monotonicMicros()
    session.gapMicros = 0
  }
}
