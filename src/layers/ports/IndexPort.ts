/**
 * The port under `Subscriber`, which each backend implements: a reader of one topic, batch by batch. It reads the topic's
 * index or, under order `none`, scans the lanes of its open sessions; then it numbers the batches as it finds them.
 */
import type { Gap, HistoryUnreadable, IndexedBatch } from "../../services/Subscriber.ts"
import type { LogWaiter } from "./Waiter.ts"

/** A subscriber's reading end of one topic. */
export interface IndexPort {
  readonly waiter: LogWaiter
  /**
   * The next batches in order, at most `max`; empty once this reader has polled all committed batches. From lanes: the
   * next published batch of each in turn, by client slot and broker.
   */
  readonly poll: (max: number) => ReadonlyArray<IndexedBatch>
  /** Why `poll` returns nothing more, when the memory contradicts the layout. */
  readonly damage: () => string | undefined
  /** Lets the memory of all batches below this index be reused. The cursor that gates publishers never moves back. */
  readonly release: (index: number) => void
  /** Batches committed in the topic; of lanes, one more than `next` while another can be polled. */
  readonly committed: () => number
  /** Records committed in the topic; of lanes, those polled so far. */
  readonly committedMessages: () => number
  /** Index of the next batch that `poll` returns. */
  readonly next: () => number
  /** True once the log was shut down and this reader has polled all committed batches. */
  readonly finished: () => boolean
  /** Of a replica's reader: declares that the replica's files have what cursors said up to that stamp. */
  readonly storedCursors?: (stamp: number) => void
  /** Of a reader that begins in files: the position of the first record that it was opened for. */
  readonly begins?: number | undefined
  /** Of a reader that begins in files: whether it has not joined memory yet. Then more comes by itself. */
  readonly isReadingHistory?: () => boolean
  /** Of a reader that begins in files: why nothing more comes. */
  readonly failure?: () => HistoryUnreadable | undefined
  /** Of a reader that may be lapped: what is missing ahead of the batch that `poll` returns next, as far as it has found. */
  readonly gap?: () => Gap | undefined
}

/**
 * A reader that holds nothing back: its batches are copies, which are whole, and where it was overtaken `poll` goes on at the
 * oldest one kept.
 */
export interface UngatedPort extends IndexPort {
  /** Where the batch begins that `poll` returns next. */
  readonly position: () => number
  /** Goes on at the batch of that index, which begins at that position. False when it is trimmed. */
  readonly resume: (index: number, position: number) => boolean
}
