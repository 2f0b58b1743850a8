/**
 * The port of older records: what the files of replicas hold of a topic, for subscribers that ask for what memory no longer
 * has.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { HistoryUnreadable, IndexedBatch, PositionTrimmed } from "../../services/Subscriber.ts"

/** Reads the batches of one topic in order. */
export interface HistoryReader {
  /** Where the next batch begins: its index, and the position of its first record. */
  readonly next: () => { readonly index: number; readonly position: number }
  /** The next batches, lent until the next pull; empty at the end, which may move. */
  readonly pull: Effect.Effect<ReadonlyArray<IndexedBatch>, HistoryUnreadable>
}

export interface History {
  /** The position of the oldest record that the files have; `undefined` when they have none of the topic. */
  readonly start: (topic: string) => Effect.Effect<number | undefined, HistoryUnreadable>
  /** Reads from the batch that holds the position. */
  readonly open: (
    topic: string,
    position: number
  ) => Effect.Effect<HistoryReader, HistoryUnreadable | PositionTrimmed, Scope.Scope>
}
