/**
 * The port under `Publisher`, which each backend implements: a session's lanes, batch by batch.
 *
 * Calls are made once for each batch, never for each record, and allocate nothing on the way. A caller that has to wait
 * does so with {@link LanePort.waiter}.
 */
import type { ReaderState } from "../../services/Diagnostics.ts"
import type { Frontiers } from "../../services/schema/Frontiers.ts"
import type { ProcessId } from "../../services/schema/ProcessId.ts"
import type { LogWaiter } from "./Waiter.ts"

/** What keeps a lane from taking another batch. */
export type RoomHolder =
  | ({ readonly kind: "reader"; readonly name: string; readonly own: boolean } & ProcessId)
  | { readonly kind: "gap"; readonly broker: number; readonly batch: number }
  | { readonly kind: "sequencer" }

/** Why a session ended. `closed` is the only end its client asked for. */
export type SessionEnd = "closed" | "died" | "corrupt"

/** A session's writing end: one lane on each broker, batches numbered densely from 0 over all of them. */
export interface LanePort {
  readonly sessionId: number
  readonly brokers: number
  /** The largest batch in bytes, its table of lengths included. */
  readonly batchBytes: number
  /** Subscribers that can be attached to the session's topic at once. */
  readonly readersMax: number
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
  /** Tells whether this session waits for room, so that the sequencer makes some even when nothing else changes. */
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
  /** Set once the session has ended, by its client or by the sequencer. */
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
