/**
 * The two ends of the log that a backend of layers has to provide: a session's lanes, and a reader of the index.
 *
 * They are the narrow, synchronous ports under `Publisher` and `Subscriber`. Calls are made once per batch, never per
 * record, and allocate nothing on the way; whoever must wait does so with {@link Waiter.until}.
 */
import type * as Effect from "effect/Effect"
import type { RegionLost } from "./CxlMemory.ts"
import type { ReaderState } from "./Diagnostics.ts"
import type { Frontiers } from "./schema/Frontiers.ts"
import type { ProcessId } from "./schema/ProcessId.ts"
import type { Server } from "./schema/Server.ts"
import type { IndexedBatch } from "./Subscriber.ts"

/** Waiting without a lost wake-up: registers, checks, and sleeps only then. */
export interface Waiter {
  /**
   * Resolves with the first value of `check` that is not `undefined`. `check` runs at once and again whenever
   * something the region's members wait for may have changed; it must be cheap and must not throw.
   */
  readonly until: <A>(check: () => A | undefined) => Effect.Effect<A, RegionLost>
}

/** The same for what a log does: it ends with the log's server, and knows who that is. */
export interface LogWaiter extends Waiter {
  /** Fails once the log's server is gone. Nothing rings for it: it is free to wait for while much is published. */
  readonly untilLost: Effect.Effect<never, RegionLost>
  /** Why nothing more will come, when the server is gone. Asks the operating system: not for each batch. */
  readonly lost: () => RegionLost | undefined
  readonly server: () => Server | undefined
}

/** Who keeps a lane from taking another batch. */
export type RoomHolder =
  | ({ readonly kind: "reader"; readonly name: string; readonly own: boolean } & ProcessId)
  | { readonly kind: "gap"; readonly broker: number; readonly batch: number }
  | { readonly kind: "sequencer" }

/** Why a session ended. `closed` is the only end its client asked for. */
export type SessionEnd = "closed" | "died" | "corrupt"

/** A session's writing end: one lane on each broker, batches numbered densely from 0 over all of them. */
export interface LaneWriter {
  readonly sessionId: number
  readonly brokers: number
  /** The largest batch in bytes, its table of lengths included. */
  readonly batchBytes: number
  readonly waiter: LogWaiter
  /**
   * Room for one batch of the largest size on the broker's lane, or `undefined` when the lane is full. The room
   * is held for this batch sequence until `seal`; calling again before that returns the same bytes.
   */
  readonly begin: (broker: number, batchSequence: number) => Uint8Array | undefined
  /**
   * Writes the descriptor of the batch whose records lie in the bytes given by `begin`. `uniformBytes` is the
   * length of every record, or 0 when they differ: then `lengths` holds `messageCount` of them.
   * Afterwards the batch is written, not yet published.
   */
  readonly seal: (broker: number, batch: SealedBatch) => void
  /** Says whether this session waits for room, so that the sequencer looks for some even when nothing else moves. */
  readonly wantRoom: (wants: boolean) => void
  /** Publishes everything written on the broker's lane, in lane order. */
  readonly publish: (broker: number) => void
  /** Batches written in the lane and not yet released. Never above its slots. */
  readonly inFlight: (broker: number) => number
  readonly written: (broker: number) => number
  readonly published: (broker: number) => number
  /** Committed prefix of this session. */
  readonly committedBatches: () => number
  readonly committedMessages: () => number
  /** Set once the session has ended, whoever ended it. */
  readonly ended: () => SessionEnd | undefined
  /** Times a lane was found full. */
  readonly fullEvents: () => number
  readonly roomHolder: (broker: number) => RoomHolder
  /** The subscribers that are attached to the session's topic. Looks at the whole log: not for each record. */
  readonly readers: () => ReadonlyArray<ReaderState>
  /** The broker whose lane holds the session's next expected batch, where that can be seen. */
  readonly gap: () =>
    | { readonly batch: number; readonly broker: number | undefined; readonly heldBehind: number }
    | undefined
  /** Frontiers of the session's lane on one broker. */
  readonly frontiers: (broker: number) => Frontiers
}

export interface SealedBatch {
  readonly batchSequence: number
  readonly firstMessage: number
  readonly messageCount: number
  /** Bytes of the records, without the table. */
  readonly payloadBytes: number
  readonly uniformBytes: number
  readonly lengths: Uint32Array
}

/** A subscriber's reading end of one topic. */
export interface IndexReader {
  readonly waiter: LogWaiter
  /** Up to `max` batches in order that this reader has not polled; empty when it has seen all that is committed. */
  readonly poll: (max: number) => ReadonlyArray<IndexedBatch>
  /** Why `poll` gives nothing more: what the index holds contradicts the layout. `undefined` while all is well. */
  readonly damage: () => string | undefined
  /** Everything below this index may be reused. Moves the cursor that gates publishers; never backwards. */
  readonly release: (index: number) => void
  /** Batches committed in the topic. */
  readonly committed: () => number
  /** Records committed in the topic. */
  readonly committedMessages: () => number
  /** Index of the next batch that `poll` gives. */
  readonly next: () => number
  /** True once the log has stopped in good order and everything committed was polled. */
  readonly finished: () => boolean
}
