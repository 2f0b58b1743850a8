/**
 * The contents of a region as plain objects: lanes, sessions, readers, and topics with their index.
 *
 * Positions and counts are absolute and never restart; `%` only addresses a ring. Each field has one writer, named at
 * its declaration.
 */
import type * as Clock from "effect/Clock"
import type { Geometry } from "../../../services/schema/Geometry.ts"
import type { Topic } from "../../../services/schema/Topic.ts"
import type { SessionEnd } from "../../../services/Sequencer.ts"
import type { Incarnation } from "../../ports/LanePort.ts"
import type { ReplicaRole, TopicBase } from "../../ports/ReplicatedLog.ts"
import { ChangeSignal } from "../region/ChangeSignal.ts"

/** Batches of a lane begin on multiples of this. */
export const lineBytes = 64

export const roundUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit

/** Where a batch's table of lengths begins, after its records. */
export const tableOffset = (payloadBytes: number): number => roundUp(payloadBytes, 4)

/** Bytes of a batch in its lane: the records and, when their lengths differ, the table of lengths. */
export const batchBytesOf = (payloadBytes: number, messageCount: number, uniformBytes: number): number =>
  uniformBytes !== 0 ? payloadBytes : tableOffset(payloadBytes) + 4 * messageCount

/** A batch in its lane, written by the lane's client. */
export interface Descriptor {
  readonly session: Session
  /** Its count in the lane, which differs from that of a descriptor left from an older lap. */
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

/**
 * The sequencer's record of a batch that it has scanned and not yet released. `unordered`: under order `none`, where
 * only the attached readers keep it.
 */
export interface LaneSlot {
  state: "held" | "ordered" | "unordered" | "done"
  readonly topic: HeapTopic
  readonly payloadPosition: number
  /** Its entry in the topic's index, once it is ordered. */
  entry: number
}

/** The descriptor ring and the payload ring of one client slot on one broker. They continue from owner to owner. */
export class Lane {
  readonly broker: number
  readonly descriptors: Array<Descriptor | undefined>
  /** Allocated when the broker grants the lane for the first time. */
  payload: Uint8Array<ArrayBuffer> = new Uint8Array(0)

  // Written by the sequencer.
  readonly slots: Array<LaneSlot | undefined>
  /** Descriptors scanned. */
  scanned = 0
  /** Descriptors whose slot and payload may be reused. */
  released = 0
  /** Payload position after the last scanned batch. */
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

/** A lane while one session owns it. */
export class SessionLane {
  readonly lane: Lane
  /** Batches that former owners wrote. */
  readonly first: number

  // Written by the client. Counts include former owners' batches.
  written: number
  published: number
  publishedMessages = 0
  /** Times the lane was found full after it had room. */
  fullEvents = 0
  full = false
  /** Payload position after the last written batch. */
  position: number
  /** The room of a begun batch that is not sealed yet. */
  begun: { readonly batchSequence: number; readonly position: number; readonly room: Uint8Array } | undefined

  // Written by the sequencer. Counts are this session's.
  scanned = 0
  held = 0
  ordered = 0
  orderedMessages = 0
  delivered = 0
  deliveredMessages = 0
  duplicates = 0
  purged = 0
  /** Under order `none`: messages scanned, and the descriptors that are counted as delivered or were released. */
  scannedMessages = 0
  deliveredTo = 0
  /** The last scan found no further batch. */
  drained = false

  constructor(lane: Lane) {
    this.lane = lane
    this.first = this.written = this.published = lane.scanned
    this.position = lane.payloadEnd
  }
}

/** A batch in its session's window. */
export interface Pending {
  readonly descriptor: Descriptor
  readonly lane: SessionLane
  emitted: boolean
}

/** A batch that was committed ahead of its session's prefix, as its successor knows it: it is only counted into that. */
export interface Committed {
  readonly emitted: true
  readonly messageCount: number
}

/** A name of publishers in one topic, which outlives their sessions. */
export class Identity {
  readonly topic: HeapTopic
  readonly name: string

  // Written by the sequencer.
  /** Counts its adopted sessions. */
  incarnation = 0
  /** Records that its former sessions committed. */
  base = 0
  /** The session that has it. */
  session: Session | undefined

  constructor(topic: HeapTopic, name: string) {
    this.topic = topic
    this.name = name
  }
}

/** A named cursor of a topic. Written by its holder. */
export class HeapCursor {
  readonly topic: HeapTopic
  readonly name: string
  committed: number | undefined
  /** Counts its holders: of one that has it no more the count is lower. */
  holding = 0
  isHeld = false
  wantedStamp = 0
  changes = 0
  touchedMillis = 0
  expiresMillis = 0

  constructor(topic: HeapTopic, name: string) {
    this.topic = topic
    this.name = name
  }
}

/** What a claim asks for: the identity, and the incarnation that it continues; 0 takes it from any session. */
export interface IdentityClaim {
  readonly identity: Identity
  readonly continues: number
}

/** One session of a publisher. */
export class Session {
  readonly id: number
  /** Counts the sessions of its slot. */
  readonly generation: number
  readonly topic: HeapTopic
  readonly claim: IdentityClaim | undefined
  /** Granted by the brokers when the sequencer adopts the session. */
  lanes: ReadonlyArray<SessionLane> = []
  /** Set by the client when it has published all batches and the session may end. */
  closing = false

  // Written by the sequencer.
  state: "claimed" | "active" | "ended" = "claimed"
  /** Why it ends or has ended, as soon as that is decided. */
  endReason: SessionEnd | undefined
  /** Set when it is adopted with an identity. */
  incarnation: Incarnation | undefined
  /** The next batch sequence to emit: all below it are emitted. */
  expected = 0
  expectedMessages = 0
  /** By batch sequence: the scanned batches from `expected` on. */
  readonly window = new Map<number, Pending | Committed>()
  held = 0
  heldTotal = 0
  duplicates = 0
  purged = 0
  /** When the expected batch began to be missing while others are held, in monotonic microseconds. */
  gapSinceMicros: number | undefined
  /** How much of that time counts against the lease. */
  gapMicros = 0
  /** The committed prefix, as acknowledged: it lags behind `expected` while an epoch is open. */
  acknowledgedBatches = 0
  acknowledgedMessages = 0
  /**
   * What is committed above the acknowledged prefix, with its messages, where batches are not held. With that prefix, all
   * that a server which continues the log learns of a session's order: the index may have trimmed these batches.
   */
  readonly facts = new Map<number, number>()
  dirty = false

  constructor(id: number, generation: number, topic: HeapTopic, claim: IdentityClaim | undefined) {
    this.id = id
    this.generation = generation
    this.topic = topic
    this.claim = claim
  }

  /** Makes the prefix visible to the client. */
  acknowledge(): void {
    this.dirty = false
    if (this.facts.size > 0) {
      for (let batch = this.acknowledgedBatches; batch < this.expected; batch += 1) this.facts.delete(batch)
    }
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
  /** Set for a reader that writes a replica: what it has released is on a disk. */
  readonly replica: ReplicaRole | undefined
  /** Index entries that it has released; under order `none`, batches. */
  cursor: number
  /** Whether what it has not released is kept. */
  gates: boolean
  /** Of a replica's reader: its files have what cursors said up to that stamp. */
  storedCursors: number
  /** Under order `none`: for each lane that it follows, the descriptors that it has released. */
  readonly lanes: Map<SessionLane, number>
}

const noBase: TopicBase = { batches: 0, records: 0 }

/** A declared topic and its index, a ring of entries. */
export class HeapTopic {
  readonly declaration: Topic<any>
  /** Whether the server declared it: then no other topic takes its place. */
  named = false
  /** By reader slot. */
  readonly readers: Array<Reader | undefined>
  readonly entries: Array<IndexEntry | undefined>
  /** How many replicas must have a record before it is acknowledged, by the server; 0: as many as replicas say. */
  copies = 0

  /** The count of {@link Heap.leave} when it was declared, or when its last session or reader left it. */
  leftAlone = 0

  // Written by the sequencer.
  /** Whether an early batch is held until those before it arrive. */
  holds = true
  adopted = false
  committedBatches = 0
  committedMessages = 0
  committedBytes = 0
  /** When the newest batch was committed: no batch gets an older time. */
  orderedMillis = 0
  /** Batches emitted into the open epoch. */
  pending = 0
  /** Entries below this are trimmed and must not be read. */
  trimmed = 0
  trimmedMessages = 0
  /** Entries below this are released by every attached reader. */
  delivered = 0
  /** The slot of the reader that prevents trimming. */
  gatingSlot: number | undefined
  /** Of a durable topic: entries below this have been on a replica's disk. */
  synced = 0
  /** Of a durable topic: no reader prevents trimming, but no replica has what would go. */
  gatesUnreplicated = false
  gatingSinceMicros: number | undefined

  constructor(declaration: Topic<any>, { indexEntries, readers }: Geometry, base: TopicBase = noBase) {
    this.declaration = declaration
    this.committedBatches =
      this.trimmed =
      this.delivered =
      this.synced =
        base.batches
    this.committedMessages = this.trimmedMessages = base.records
    this.orderedMillis = base.orderedMillis ?? 0
    this.entries = Array.from({ length: indexEntries }, () => undefined)
    this.readers = Array.from({ length: readers }, () => undefined)
  }

  get name(): string {
    return this.declaration.name
  }

  /** Whether its batches are put into an order, or its readers scan the lanes themselves. */
  get isOrdered(): boolean {
    return this.declaration.order !== "none"
  }

  /** Whether its records are acknowledged and trimmed only once replicas have them. */
  get isDurable(): boolean {
    return this.declaration.ack === "durable"
  }

  /** The reader that prevents trimming, unless it has left since the last pass. */
  get gate(): Reader | undefined {
    return this.gatingSlot === undefined ? undefined : this.readers[this.gatingSlot]
  }

  entry(index: number): IndexEntry | undefined {
    return this.entries[index % this.entries.length]
  }
}

let heaps = 0

/** The memory itself, shared by the clients, the brokers and the sequencer of this heap. */
export class Heap {
  readonly region: string
  /** No other heap has it. */
  readonly id = `heap ${heaps += 1}`
  readonly geometry: Geometry
  readonly clock: Clock.Clock
  /** How many replicas must have a record of a durable topic; 0: as many as replicas say. */
  readonly copies: number
  /** By place, at most as many as the geometry has. A freed place goes to the next topic at once. */
  readonly topics: Array<HeapTopic> = []
  /** By client slot: its present session, or its last one. */
  readonly sessions: Array<Session | undefined>
  /** In the order of their declaration. Those of freed topics go when another is declared. */
  identities: ReadonlyArray<Identity> = []
  /** Those of freed topics, and expired ones, go when another is named. */
  cursors: ReadonlyArray<HeapCursor> = []
  /** Counts their commits. */
  cursorCommits = 0
  /** By client slot and broker. */
  readonly lanes: ReadonlyArray<ReadonlyArray<Lane>>
  stopped = false
  /** Since when the server is dead and no other has continued the log, in monotonic microseconds. */
  unservedMicros: number | undefined
  /** Counts the servers of the log. */
  epoch = 1
  #left = 0
  /** Rung on each change that clients may wait for. */
  readonly members = new ChangeSignal()
  /** Called when there is work for the sequencer. */
  wakeSequencer: () => void = () => {}

  constructor(region: string, geometry: Geometry, clock: Clock.Clock, copies = 0) {
    this.copies = copies
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

  /** Notes that a session or a reader has left the topic. The count tells which of two topics was left first. */
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

/** The open sessions of a topic. */
export const activeSessionsOf = (heap: Heap, topic: HeapTopic): ReadonlyArray<Session> =>
  sessionsOf(heap).filter((session) => session.state === "active" && session.topic === topic)

/** The present or last session of each client slot that ever had one. */
export const sessionsOf = (heap: Heap): ReadonlyArray<Session> =>
  heap.sessions.filter((session) => session !== undefined)

/**
 * Its client writes nothing in the session's lanes from here on. A session that the sequencer has not adopted has
 * published nothing, so it ends at once.
 */
export const closeSession = (heap: Heap, session: Session): void => {
  if (session.closing) return
  session.closing = true
  if (session.state === "claimed") {
    session.state = "ended"
    heap.leave(session.topic)
  }
  heap.wakeSequencer()
  heap.members.ring()
}

/** Whether the session ends at its committed prefix, and nothing more of its lanes is scanned. */
export const endsAtOnce = ({ endReason }: Session): boolean =>
  endReason === "corrupt" || endReason === "outlived" || endReason === "fenced"

/** Whether the session has ended, and its client may still write in its lanes. */
export const isQuarantined = ({ closing, state }: Session): boolean => state === "ended" && !closing
