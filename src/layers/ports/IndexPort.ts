/**
 * The port under `Subscriber`, which each backend implements: a reader of one topic's index, batch by batch.
 */
import type { IndexedBatch } from "../../services/Subscriber.ts"
import type { LogWaiter } from "./Waiter.ts"

/** A subscriber's reading end of one topic. */
export interface IndexPort {
  readonly waiter: LogWaiter
  /** Up to `max` batches in order that this reader has not polled; empty when it has seen all that is committed. */
  readonly poll: (max: number) => ReadonlyArray<IndexedBatch>
  /** Why `poll` gives nothing more: the index contradicts the layout. `undefined` while all is well. */
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
