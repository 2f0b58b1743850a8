/**
 * The port under `Publisher`, which each backend implements: a session's lanes, batch by batch.
 *
 * The publisher calls it once for each batch, never for each record. The calls on that path allocate nothing. A caller
 * that must wait uses {@link LanePort.waiter}.
 */
import type { ReaderState } from "../../services/Diagnostics.ts"
import type { Frontiers } from "../../services/schema/Frontiers.ts"
import type { ProcessId } from "../../services/schema/ProcessId.ts"
import type { SessionEnd } from "../../services/Sequencer.ts"
import type { LogWaiter } from "./Waiter.ts"

/** What keeps a lane from taking another batch. */
export type RoomHolder =
  | ({ readonly kind: "reader"; readonly name: string; readonly own: boolean; readonly replica: boolean } & ProcessId)
  | { readonly kind: "gap"; readonly broker: number; readonly batch: number }
  /** The topic's records may not go before a replica has them, and none is attached. */
  | { readonly kind: "unreplicated"; readonly topic: string }
  | { readonly kind: "sequencer" }

/** A session's place among those of its identity. */
export interface Incarnation {
  readonly name: string
  /** Counts the sessions of the identity, from 1. */
  readonly incarnation: number
  /** Records of the identity that were committed before this session. */
  readonly base: number
}

/** A session's writing end: one lane on each broker, batches numbered densely from 0 over all of them. */
export interface LanePort {
  readonly sessionId: number
  readonly identity: Incarnation | undefined
  readonly brokers: number
  /** Whether its batches are put into an order. Under order `none` none is ever committed. */
  readonly isOrdered: boolean
  /** Whether its records are acknowledged only once replicas have them. */
  readonly isDurable: boolean
  /** The largest batch in bytes, its table of lengths included. */
  readonly batchBytes: number
  /** The most subscribers that can be attached to the session's topic at once. */
  readonly readersMax: number
  readonly waiter: LogWaiter
  /**
   * Room for one batch of the largest size on the broker's lane, or `undefined` when the lane is full. The lane keeps
   * the room for this batch sequence until `seal`; another call before that returns the same bytes.
   *
   * Over all lanes of the session batches are begun in the order of their sequence: so a batch that is published late has
   * its room before any that waits for it, and no lane keeps room in reserve.
   */
  readonly begin: (broker: number, batchSequence: number) => Uint8Array | undefined
  /**
   * Writes the descriptor of the batch whose records lie in the bytes returned by `begin`. `uniformBytes` is the length
   * of every record, or 0 when they differ: then `lengths` holds `messageCount` lengths. The batch is then written, but
   * not yet published. False when the session has ended: then it is not written.
   */
  readonly seal: (broker: number, batch: SealedBatch) => boolean
  /** Tells the sequencer that this session waits for room, so that it trims even when nothing else changes. */
  readonly wantRoom: () => void
  /** Publishes all batches written on the broker's lane, in lane order. */
  readonly publish: (broker: number) => void
  /** Batches written in the lane and not yet released, at most the lane's slots. */
  readonly inFlight: (broker: number) => number
  readonly written: (broker: number) => number
  readonly published: (broker: number) => number
  /** Committed prefix of this session. */
  readonly committedBatches: () => number
  readonly committedMessages: () => number
  /**
   * A number of batches of the topic's index among which are all that {@link committedMessages} has counted: call it after
   * that. `undefined` while it cannot be read afresh, because another process takes the log over: ask again later. Only of
   * a durable topic.
   */
  readonly commitPoint: () => number | undefined
  /**
   * The batches of the topic's index below are on the disks of the required replicas; -1 before that is known. It never
   * falls. Only of a durable topic.
   */
  readonly durableIndex: () => number
  /** Set once the session has ended, by its client or by the sequencer. */
  readonly ended: () => SessionEnd | undefined
  /**
   * Of a session that has ended, before it is left: copies of the batches that were sealed and are not committed, published
   * or not, in the order of their sequence.
   */
  readonly uncommitted: () => ReadonlyArray<UncommittedBatch>
  /**
   * The last act of a session that has ended: its slot and its lanes go to the next session, so its client writes
   * nothing in them from here on. Its process keeps them until then.
   */
  readonly leave: () => void
  /** Times that `begin` found a lane full. */
  readonly fullEvents: () => number
  readonly roomHolder: (broker: number) => RoomHolder
  /** The subscribers attached to the session's topic. Inspects the whole log: do not call it for each record. */
  readonly readers: () => ReadonlyArray<ReaderState>
  /** Of a durable topic: how many replicas must have a record. Inspects the whole log, too. */
  readonly requiredCopies: () => number
  /** The session's next expected batch while others are held behind it, and the broker that carries it, if known. */
  readonly gap: () =>
    | { readonly batch: number; readonly broker: number | undefined; readonly heldBehind: number }
    | undefined
  /** Frontiers of the session's lane on one broker. */
  readonly frontiers: (broker: number) => Frontiers
}

/** The records of a batch, back to back. They are all `uniformBytes` long, or, where that is 0, as `lengths` tells. */
export interface UncommittedBatch {
  readonly firstMessage: number
  readonly messages: number
  readonly payload: Uint8Array
  readonly uniformBytes: number
  readonly lengths: Uint32Array
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
