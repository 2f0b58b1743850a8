/**
 * What a region holds, as plain objects: lanes, sessions, readers and topics with their index.
 *
 * Positions and counts are absolute and never restart; `%` appears only where a ring is addressed. Each field has one
 * writer, named where it is declared.
 */
import type * as Clock from "effect/Clock"
import type { Geometry } from "../../../services/schema/Geometry.ts"
import type { Topic } from "../../../services/schema/Topic.ts"
import type { SessionEnd } from "../../ports/LanePort.ts"
import { ChangeSignal } from "../region/ChangeSignal.ts"

/** Batches of a lane begin on multiples of this. */
export const lineBytes = 64

export const roundUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit

/** Where a batch's table of lengths begins, behind its records. */
export const tableOffset = (payloadBytes: number): number => roundUp(payloadBytes, 4)

/** Bytes of a batch in its lane: the records and, when their lengths differ, the table of lengths. */
export const batchBytesOf = (payloadBytes: number, messageCount: number, uniformBytes: number): number =>
  uniformBytes !== 0 ? payloadBytes : tableOffset(payloadBytes) + 4 * messageCount

/** A batch in its lane, written by the lane's client. */
export interface Descriptor {
  readonly session: Session
  /** Its place in the lane: a slot that still holds an older lap's descriptor has another. */
  readonly laneIndex: number
  readonly batchSequence: number
  readonly firstMessage: number
  readonly messageCount: number
  readonly payloadPosition: number
  readonly payloadBytes: number
  readonly uniformBytes: number
  readonly publishedMillis: number
  published: boolean
}

/** What the sequencer knows of a batch it has scanned and not yet released. */
export interface LaneSlot {
  state: "held" | "ordered" | "done"
  readonly topic: HeapTopic
  readonly payloadPosition: number
  /** Its place in the topic's index, once it is ordered. */
  entry: number
}

/** The descriptor ring and the payload ring of one client slot on one broker. They go on from owner to owner. */
export class Lane {
  readonly broker: number
  readonly descriptors: Array<Descriptor | undefined>
  /** Allocated when the broker grants the lane for the first time. */
  payload: Uint8Array<ArrayBuffer> = new Uint8Array(0)

  // the sequencer's
  readonly slots: Array<LaneSlot | undefined>
  /** Descriptors seen. */
  scanned = 0
  /** Descriptors whose slot and payload may be reused. */
  released = 0
  /** Payload position behind the last scanned batch. */
  payloadEnd = 0

  constructor(broker: number, laneSlots: number) {
    this.broker = broker
    this.descriptors = Array.from({ length: laneSlots }, () => undefined)
    this.slots = Array.from({ length: laneSlots }, () => undefined)
  }

  descriptor(laneIndex: number): Descriptor | undefined {
    return this.descriptors[laneIndex % this.descriptors.length]
  }

  slot(laneIndex: number): LaneSlot {
    return this.slots[laneIndex % this.slots.length]!
  }
}

/** One session's part in a lane. */
export class SessionLane {
  readonly lane: Lane
  /** Batches that former owners wrote. */
  readonly first: number

  // the client's; counts are the lane's, absolute
  written: number
  published: number
  publishedMessages = 0
  /** Times the lane was found full after it had room. */
  fullEvents = 0
  full = false
  /** Payload position behind the last written batch. */
  position: number
  /** Room given for a batch that is not sealed yet. */
  begun: { readonly batchSequence: number; readonly position: number; readonly room: Uint8Array } | undefined

  // the sequencer's, of this session
  scanned = 0
  held = 0
  ordered = 0
  orderedMessages = 0
  delivered = 0
  deliveredMessages = 0
  duplicates = 0
  purged = 0
  /** The last scan found no further batch. */
  drained = false

  constructor(lane: Lane) {
    this.lane = lane
    this.first = this.written = this.published = lane.scanned
    this.position = lane.payloadEnd
  }
}

/** A batch that its session's window has taken in. */
export interface Pending {
  readonly descriptor: Descriptor
  readonly lane: SessionLane
  emitted: boolean
}

/** One publisher's life. */
export class Session {
  readonly id: number
  /** Counts the sessions of its slot. */
  readonly generation: number
  readonly topic: HeapTopic
  /** Granted by the brokers when the sequencer adopts the session. */
  lanes: ReadonlyArray<SessionLane> = []
  /** Set by the client: everything is published, the session may end. */
  closing = false

  // the sequencer's
  state: "claimed" | "active" | "ended" = "claimed"
  /** Why it ends, as soon as that is decided, or has ended. */
  endReason: SessionEnd | undefined
  /** The next sequence to emit: everything below is in the order. */
  expected = 0
  expectedMessages = 0
  /** By batch sequence: what was scanned and is not below `expected`. */
  readonly window = new Map<number, Pending>()
  held = 0
  heldTotal = 0
  duplicates = 0
  purged = 0
  /** Monotonic microseconds at which the expected batch began to be missing while others are held. */
  gapSinceMicros: number | undefined
  /** The committed prefix, as acknowledged: it lags behind `expected` while an epoch is open. */
  acknowledgedBatches = 0
  acknowledgedMessages = 0
  dirty = false

  constructor(id: number, generation: number, topic: HeapTopic) {
    this.id = id
    this.generation = generation
    this.topic = topic
  }

  /** Makes the prefix visible to the client. */
  acknowledge(): void {
    this.dirty = false
    this.acknowledgedBatches = this.expected
    this.acknowledgedMessages = this.expectedMessages
  }
}

/** One committed batch. */
export interface IndexEntry {
  readonly index: number
  readonly firstPosition: number
  readonly orderedMillis: number
  readonly descriptor: Descriptor
  readonly lane: SessionLane
}

/** An attached subscriber of one topic. */
export interface Reader {
  readonly name: string
  /** Index entries it no longer needs. */
  cursor: number
}

/** A declared topic and its index, a ring of entries. */
export class HeapTopic {
  readonly declaration: Topic<any>
  /** By the server: its place is never another's. */
  named = false
  /** By reader slot. */
  readonly readers: Array<Reader | undefined>
  readonly entries: Array<IndexEntry | undefined>

  /** Of {@link Heap.leave}: when it was declared, or the last session or reader has left it. */
  leftAlone = 0

  // the sequencer's
  /** Holds early batches back until those before them arrive. */
  holds = true
  adopted = false
  committedBatches = 0
  committedMessages = 0
  committedBytes = 0
  /** Emitted into the open epoch. */
  pending = 0
  /** Entries below are not to be read. */
  trimmed = 0
  trimmedMessages = 0
  /** Entries below are released by every attached reader. */
  delivered = 0
  /** The slot of the reader that keeps room from being made. */
  gatingSlot: number | undefined
  gatingSinceMicros: number | undefined

  constructor(declaration: Topic<any>, { indexEntries, readers }: Geometry) {
    this.declaration = declaration
    this.entries = Array.from({ length: indexEntries }, () => undefined)
    this.readers = Array.from({ length: readers }, () => undefined)
  }

  get name(): string {
    return this.declaration.name
  }

  /** The reader that keeps room from being made, unless it has left since the last pass. */
  get gate(): Reader | undefined {
    return this.gatingSlot === undefined ? undefined : this.readers[this.gatingSlot]
  }

  entry(index: number): IndexEntry | undefined {
    return this.entries[index % this.entries.length]
  }
}

/** The memory itself, shared by the clients, the brokers and the sequencer of this heap. */
export class Heap {
  readonly region: string
  readonly geometry: Geometry
  readonly clock: Clock.Clock
  /** By place, as many as the geometry has. A place that is freed is the next topic's at once. */
  readonly topics: Array<HeapTopic> = []
  /** By client slot: the session that has it, or the last that had. */
  readonly sessions: Array<Session | undefined>
  /** By client slot and broker. */
  readonly lanes: ReadonlyArray<ReadonlyArray<Lane>>
  stopped = false
  #left = 0
  /** Rung when the sequencer changed something that members may wait for. */
  readonly members = new ChangeSignal()
  /** Called when there is something for the sequencer to look at. */
  wakeSequencer: () => void = () => {}

  constructor(region: string, geometry: Geometry, clock: Clock.Clock) {
    this.region = region
    this.geometry = geometry
    this.clock = clock
    const { brokers, clients, laneSlots } = geometry
    this.sessions = Array.from({ length: clients }, () => undefined)
    this.lanes = Array.from(
      { length: clients },
      () => Array.from({ length: brokers }, (_, broker) => new Lane(broker, laneSlots))
    )
  }

  /** A session or a reader has left the topic. Counted, so that it is known which of two topics was left first. */
  leave(topic: HeapTopic): void {
    this.#left += 1
    topic.leftAlone = this.#left
  }

  /** Wall-clock milliseconds, with fractions down to microseconds. */
  wallMillis(): number {
    return Number(this.clock.currentTimeNanosUnsafe() / 1000n) / 1000
  }

  monotonicMicros(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe() / 1000n)
  }
}

/** The session of each client slot that has or had one: open, or ended and not followed by another. */
export const sessionsOf = (heap: Heap): ReadonlyArray<Session> =>
  heap.sessions.filter((session) => session !== undefined)
