/**
 * Every frontier and counter of the log, as data and as text.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { SessionAcks } from "./AckTracker.ts"
import type { BrokerState } from "./Broker.ts"
import type { RegionInfo } from "./CxlMemory.ts"
import type { Frontiers } from "./schema/Frontiers.ts"
import type { NamedProcess, ProcessId } from "./schema/ProcessId.ts"
import type { TopicBounds } from "./Subscriber.ts"

export interface ReaderState extends ProcessId {
  readonly name: string
  /** Index entries that it has released; under order `none`, batches. */
  readonly cursor: number
  /** Whether memory keeps what it has not released: not of a subscriber with another `lag` than `"gate"`. */
  readonly gates: boolean
  /** Batches that it has not released, as far as the sequencer has seen them. */
  readonly behindBatches: number
  /** The records of these batches: its lag. Of a subscriber that does not gate and was overtaken, at least so many. */
  readonly behindRecords: number
  /** 0 for a subscriber. For a replica: how many replicas the server that writes it requires, at least 1. */
  readonly replica: number
}

/** How far the records of a topic with ack `durable` are on disks. */
export interface TopicDurability {
  /** How many replicas must have a record before it is acknowledged: the most that any attached one says; 1 without one. */
  readonly required: number
  /** The batches below are on the disks of the required replicas. `undefined` while fewer are attached. */
  readonly batches: number | undefined
  /** The records of these batches. `undefined`, too, while the oldest kept batch is above them. */
  readonly records: number | undefined
  /** The attached replicas: also among the topic's readers. */
  readonly replicas: ReadonlyArray<ReaderState>
}

export interface TopicState {
  readonly name: string
  readonly order: string
  readonly ack: string
  /** Always 0 under order `none`, which commits nothing: the lanes' frontiers say how far it has come. */
  readonly committedBatches: number
  readonly committedMessages: number
  readonly committedBytes: number
  /** The positions of the oldest kept record, and of the next to be committed. Both 0 under order `none`. */
  readonly bounds: TopicBounds
  /** Number of index entries trimmed: `start` begins at this entry. */
  readonly trimmedBatches: number
  readonly trimmedMessages: number
  readonly indexEntries: number
  readonly readers: ReadonlyArray<ReaderState>
  /** Of a topic with ack `durable`. */
  readonly durability: TopicDurability | undefined
}

export interface SessionState extends ProcessId {
  readonly sessionId: number
  readonly topic: string
  /** The name of its process. */
  readonly process: string
  readonly state: "open" | "ended"
  /**
   * Whether it has ended and still keeps its slot, because its process lives and may write there: no other session gets
   * the slot before that publisher learns of its end and leaves it, is closed, or its process ends.
   */
  readonly quarantined: boolean
  readonly acks: SessionAcks
  /** Batches that now wait for an earlier batch of the session, and how many ever had to. */
  readonly held: number
  readonly heldTotal: number
  readonly duplicates: number
  readonly purged: number
  readonly lanes: ReadonlyArray<Frontiers>
}

/** An identity that publishers have in a topic, as long as the region keeps that topic. */
export interface IdentityState {
  readonly name: string
  readonly topic: string
  /** How many sessions have had it. */
  readonly incarnation: number
  /** Records of all these sessions that are committed. */
  readonly committed: number
  /** The session that has it now. */
  readonly sessionId: number | undefined
}

/** A named cursor of a topic, as long as the region keeps that topic and the cursor has not been replaced after its time. */
export interface CursorState {
  readonly topic: string
  readonly cursor: string
  /** The records below are handled. `undefined` while nothing was committed. */
  readonly position: number | undefined
  /** The living process that holds it. */
  readonly holder: NamedProcess | undefined
  /** Wall clock of its last opening, commit or leaving, in milliseconds. */
  readonly touchedMillis: number
  /** So long behind that it is forgotten, unless it is held. */
  readonly expiresMillis: number
  /** Whether it is: the next one of that name begins anew. */
  readonly isExpired: boolean
}

export interface LogSnapshot {
  readonly region: RegionInfo
  readonly epoch: number
  readonly serving: boolean
  /** Whether the log has ended in good order: no server will continue it. */
  readonly ended: boolean
  readonly topics: ReadonlyArray<TopicState>
  readonly brokers: ReadonlyArray<BrokerState>
  readonly sessions: ReadonlyArray<SessionState>
  readonly identities: ReadonlyArray<IdentityState>
  readonly cursors: ReadonlyArray<CursorState>
}

/**
 * The state of the whole log, read without disturbing it: any attached process may ask.
 *
 * @example
 * ```ts
 * import { Diagnostics } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const held = Diagnostics.use(({ snapshot }) =>
 *   Effect.map(snapshot, ({ sessions }) => sessions.reduce((sum, session) => sum + session.held, 0))
 * )
 * ```
 */
export class Diagnostics extends Context.Service<Diagnostics, {
  readonly snapshot: Effect.Effect<LogSnapshot>
}>()("ringfence/Diagnostics") {}
