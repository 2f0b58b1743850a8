/**
 * A session's writing end: admission, descriptors and publication on its lanes.
 */
import type { ReaderState } from "../../../services/Diagnostics.ts"
import type { Frontiers } from "../../../services/schema/Frontiers.ts"
import { plural } from "../../../services/text/quantities.ts"
import type { LanePort, RoomHolder, SealedBatch, UncommittedBatch } from "../../ports/LanePort.ts"
import type { LogWaiter } from "../../ports/Waiter.ts"
import { DurableIndex, recordsBelow, requiredOf } from "./Durability.ts"
import {
  activeSessionsOf,
  batchBytesOf,
  closeSession,
  type Descriptor,
  type Heap,
  type HeapTopic,
  lineBytes,
  type Reader,
  roundUp,
  type Session,
  type SessionLane,
  tableOffset
} from "./LogState.ts"

/** The port of a session that the sequencer has adopted. */
export const makeLanePort = (heap: Heap, session: Session, waiter: LogWaiter): LanePort => {
  const laneOf = (broker: number): SessionLane => {
    const lane = session.lanes[broker]
    if (lane === undefined) throw new RangeError(`there is no broker ${broker}`)
    return lane
  }
  const durable = new DurableIndex(session.topic)
  // A closing session never writes again: its lanes may already belong to another.
  const mayWrite = (): boolean => !session.closing && session.state === "active"
  return {
    sessionId: session.id,
    identity: session.incarnation,
    brokers: heap.geometry.brokers,
    isOrdered: session.topic.isOrdered,
    isDurable: session.topic.isDurable,
    batchBytes: heap.geometry.batchBytes,
    readersMax: heap.geometry.readers,
    waiter,
    begin: (broker, batchSequence) => mayWrite() ? begin(heap, laneOf(broker), batchSequence) : undefined,
    seal: (broker, batch) => mayWrite() && seal(heap, session, laneOf(broker), batch),
    wantRoom: () => heap.wakeSequencer(),
    publish: (broker) => mayWrite() ? publish(heap, session, laneOf(broker)) : undefined,
    inFlight: (broker) => inFlight(laneOf(broker)),
    written: (broker) => laneOf(broker).written - laneOf(broker).first,
    published: (broker) => laneOf(broker).published - laneOf(broker).first,
    committedBatches: () => session.acknowledgedBatches,
    committedMessages: () => session.acknowledgedMessages,
    commitPoint: () => session.topic.committedBatches,
    durableIndex: () => durable.look(),
    // A client whose lane holds an invalid batch is told at once: its session may have to wait for readers first.
    ended: () => session.state === "ended" || session.endReason === "corrupt" ? session.endReason : undefined,
    uncommitted: () => uncommittedOf(session),
    leave: () => closeSession(heap, session),
    fullEvents: () => session.lanes.reduce((events, lane) => events + lane.fullEvents, 0),
    roomHolder: () => roomHolder(heap, session),
    readers: () => readersOf(heap, session.topic),
    requiredCopies: () => requiredOf(session.topic),
    gap: () => gapOf(session),
    frontiers: (broker) => frontiersOf(laneOf(broker))
  }
}

/** The subscribers that are attached to a topic. */
export const readersOf = (heap: Heap, topic: HeapTopic): ReadonlyArray<ReaderState> =>
  topic.readers.filter((reader) => reader !== undefined).map((reader) => ({
    name: reader.name,
    pid: process.pid,
    cursor: reader.cursor,
    gates: reader.gates,
    behindBatches: behindBatches(heap, topic, reader),
    behindRecords: behindRecords(heap, topic, reader),
    replica: reader.replica?.required ?? 0
  }))

/** The batches that the reader has not released, as far as the sequencer has seen them. */
export const behindBatches = (heap: Heap, topic: HeapTopic, reader: Reader): number =>
  topic.isOrdered
    ? topic.committedBatches - reader.cursor
    : activeSessionsOf(heap, topic)
      .flatMap(({ lanes }) => lanes)
      .reduce((sum, at) => sum + Math.max(0, at.lane.scanned - takenBy(reader, at)), 0)

/** The records of these batches. */
const behindRecords = (heap: Heap, topic: HeapTopic, reader: Reader): number => {
  if (topic.isOrdered) {
    const next = recordsBelow(topic, Math.max(reader.cursor, topic.trimmed))
    return next === undefined ? 0 : topic.committedMessages - next
  }
  return activeSessionsOf(heap, topic).flatMap(({ lanes }) => lanes).reduce((sum, at) => {
    let records = 0
    for (let i = Math.max(takenBy(reader, at), at.lane.released); i < at.lane.scanned; i += 1) {
      records += at.lane.descriptor(i)?.messageCount ?? 0
    }
    return sum + records
  }, 0)
}

/** The descriptors of the lane that the reader has released. A lane that it has not seen yet is held from its start. */
export const takenBy = (reader: Reader, at: SessionLane): number => reader.lanes.get(at) ?? at.first

export const inFlight = ({ lane, written }: SessionLane): number => written - lane.released

export const frontiersOf = (at: SessionLane): Frontiers => ({
  written: at.written - at.first,
  published: at.published - at.first,
  scanned: at.scanned,
  held: at.held,
  ordered: at.ordered,
  acknowledged: at.ordered,
  delivered: at.delivered,
  orderedMessages: at.orderedMessages,
  acknowledgedMessages: at.orderedMessages,
  deliveredMessages: at.deliveredMessages,
  duplicates: at.duplicates,
  purged: at.purged
})

export interface Gap {
  readonly batch: number
  readonly broker: number | undefined
  readonly heldBehind: number
}

/** The batch that the session's held batches wait for, and the broker whose lane holds it unpublished. */
export const gapOf = (session: Session): Gap | undefined => {
  if (session.gapSinceMicros === undefined) return undefined
  const batch = session.expected
  const holder = session.lanes.find((lane) => holdsUnpublished(lane, batch))
  return { batch, broker: holder?.lane.broker, heldBehind: session.held }
}

// --- internal ---

// The room of a batch never wraps: the remainder at the end of the payload ring is skipped.
const begin = ({ geometry }: Heap, at: SessionLane, batchSequence: number) => {
  if (at.begun?.batchSequence === batchSequence) return at.begun.room
  const { batchBytes, laneBytes } = geometry
  const fits = at.position % laneBytes + batchBytes <= laneBytes
  const position = fits ? at.position : roundUp(at.position, laneBytes)
  if (!hasRoom(geometry, at, position)) {
    if (!at.full) at.fullEvents += 1
    at.full = true
    return undefined
  }
  at.full = false
  const offset = position % laneBytes
  const room = at.lane.payload.subarray(offset, offset + batchBytes)
  at.begun = { batchSequence, position, room }
  return room
}

// No room is kept in reserve for a batch that the sequencer misses: a session's batches are begun in the order of their
// sequence, so that one has its room before any that waits for it.
const hasRoom = ({ batchBytes, laneBytes, laneSlots }: Heap["geometry"], at: SessionLane, position: number): boolean =>
  inFlight(at) < laneSlots && position + batchBytes - releasedPosition(at) <= laneBytes

/** The start of the oldest unreleased batch, which may be a former owner's. */
const releasedPosition = (at: SessionLane): number =>
  inFlight(at) === 0 ? at.position : at.lane.descriptor(at.lane.released)!.payloadPosition

const seal = (heap: Heap, session: Session, at: SessionLane, batch: SealedBatch): true => {
  const { batchSequence, firstMessage, messageCount, payloadBytes, uniformBytes } = batch
  const { begun, lane } = at
  const bytes = batchBytesOf(payloadBytes, messageCount, uniformBytes)
  if (begun?.batchSequence !== batchSequence) throw new Error(`batch ${batchSequence} was not begun on this lane`)
  if (messageCount === 0 || bytes > begun.room.length) {
    throw new RangeError(`a batch of ${plural(bytes, "byte")} cannot be sealed`)
  }
  if (uniformBytes === 0) tableIn(begun.room, payloadBytes, messageCount).set(batch.lengths.subarray(0, messageCount))
  const descriptor: Descriptor = {
    session,
    laneIndex: at.written,
    batchSequence,
    firstMessage,
    messageCount,
    payloadPosition: begun.position,
    payloadBytes,
    uniformBytes,
    publishedMillis: heap.wallMillis(),
    published: false
  }
  lane.descriptors[at.written % lane.descriptors.length] = descriptor
  at.written += 1
  at.position = roundUp(begun.position + bytes, lineBytes)
  at.begun = undefined
  return true
}

// They lie in the lanes until the session is left: nothing is begun over them, because no room comes free after its end.
const uncommittedOf = ({ acknowledgedBatches, lanes }: Session): ReadonlyArray<UncommittedBatch> => {
  const found = new Map<number, UncommittedBatch>()
  for (const { first, lane, written } of lanes) {
    for (let laneIndex = Math.max(first, written - lane.descriptors.length); laneIndex < written; laneIndex += 1) {
      const descriptor = lane.descriptor(laneIndex)!
      if (descriptor.batchSequence < acknowledgedBatches) continue
      found.set(descriptor.batchSequence, copyOf(descriptor, lane.payload))
    }
  }
  return [...found].toSorted(([a], [b]) => a - b).map(([, batch]) => batch)
}

const copyOf = (
  { firstMessage, messageCount, payloadBytes, payloadPosition, uniformBytes }: Descriptor,
  lane: Uint8Array<ArrayBuffer>
): UncommittedBatch => {
  const offset = payloadPosition % lane.length
  const payload = lane.subarray(offset)
  return {
    firstMessage,
    messages: messageCount,
    payload: payload.slice(0, payloadBytes),
    uniformBytes,
    lengths: uniformBytes === 0 ? tableIn(payload, payloadBytes, messageCount).slice() : new Uint32Array(0)
  }
}

const tableIn = (room: Uint8Array, payloadBytes: number, messageCount: number): Uint32Array =>
  new Uint32Array(room.buffer, room.byteOffset + tableOffset(payloadBytes), messageCount)

const publish = (heap: Heap, { topic }: Session, at: SessionLane): void => {
  if (at.published === at.written) return
  for (; at.published < at.written; at.published += 1) {
    const descriptor = at.lane.descriptor(at.published)!
    descriptor.published = true
    at.publishedMessages += descriptor.messageCount
  }
  heap.wakeSequencer()
  if (!topic.isOrdered) heap.members.ring()
}

const holdsUnpublished = (at: SessionLane, batchSequence: number): boolean => {
  for (let laneIndex = at.published; laneIndex < at.written; laneIndex += 1) {
    if (at.lane.descriptor(laneIndex)?.batchSequence === batchSequence) return true
  }
  return at.begun?.batchSequence === batchSequence
}

const roomHolder = (heap: Heap, session: Session): RoomHolder => {
  const gap = gapOf(session)
  if (gap?.broker !== undefined) return { kind: "gap", broker: gap.broker, batch: gap.batch }
  const gate = heap.topics.find((topic) => topic.gate !== undefined)?.gate
  if (gate !== undefined) {
    return { kind: "reader", name: gate.name, pid: process.pid, own: true, replica: gate.replica !== undefined }
  }
  const unreplicated = heap.topics.find(({ gatesUnreplicated }) => gatesUnreplicated)
  return unreplicated === undefined ? { kind: "sequencer" } : { kind: "unreplicated", topic: unreplicated.name }
}
