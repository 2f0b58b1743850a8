/**
 * The reading side of the log: batches in the total order, lent; records in the total order, copied.
 */
import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { RegionLost } from "./CxlMemory.ts"
import type { RegionError } from "./schema/RegionError.ts"
import type { Topic, TopicError } from "./schema/Topic.ts"

/** Where to begin: the oldest kept record, the next one to be committed, or a position of the topic. */
export type From = "start" | "end" | { readonly position: number }

/** Where a subscriber begins by default. */
export const defaultFrom: From = "start"

/**
 * The treatment of a record that does not match its topic's schema. All records before it are delivered in any case.
 *
 * - `"fail"`: the run ends with {@link RecordInvalid}. The handle stays in front of the record: the next run meets it
 *   again, until {@link SubscriberHandle.skip} passes over it.
 * - `"skip"`: the record is passed over, and a warning with its position is logged.
 * - a handler: gets the record as bytes, and the issue. If it succeeds the record is passed over; if it fails, or is
 *   interrupted, the run ends as with `"fail"`.
 */
export type OnInvalid =
  | "fail"
  | "skip"
  | ((record: Record<Uint8Array>, error: RecordInvalid) => Effect.Effect<void, RecordInvalid>)

export interface SubscriberOptions {
  /**
   * Default {@link defaultFrom}: `"start"`, in programs and on the command line alike, because then a subscriber that
   * comes a moment after its publisher has all that is kept. `"end"` gives only what is new.
   */
  readonly from?: From | undefined
  /** The treatment by `records` and `recordBatches` of a record that does not match the schema. Default `"fail"`. */
  readonly onInvalid?: OnInvalid | undefined
  /** Shown wherever this subscriber keeps publishers waiting. Default: the process's name. */
  readonly name?: string | undefined
  /** Ends the streams at the last record committed when it was reached, instead of waiting for more. Default false. */
  readonly untilEnd?: boolean | undefined
  /** Fails with `TopicUnknown` instead of declaring a topic that does not exist. Default false. */
  readonly mustExist?: boolean | undefined
}

/** One committed batch, as the index describes it. Its bytes are lent: valid until the reader releases the batch. */
export interface IndexedBatch {
  /** Position of the batch in the topic's index. */
  readonly index: number
  /** Position of its first record in the topic. */
  readonly position: number
  readonly messageCount: number
  readonly sessionId: number
  readonly batchSequence: number
  /** Position of its first record in its session. */
  readonly firstMessage: number
  readonly broker: number
  /** Length of every record, or 0 when `lengths` has them. */
  readonly uniformBytes: number
  readonly lengths: Uint32Array | undefined
  /** The records, one after the other. */
  readonly payload: Uint8Array
  /**
   * When its publisher sealed it, in wall-clock milliseconds with fractions. It is published right after that, unless
   * something delays it (`skew`, a publisher that is stopped): the delay counts as part of the way to the commit.
   */
  readonly publishedMillis: number
  /** When its epoch was committed, by the clock of the serving process. */
  readonly orderedMillis: number
}

/** A record, copied out of the log. */
export interface Record<out A> {
  /** Its place in the topic's total order. */
  readonly position: number
  readonly sessionId: number
  /** Its place in its session. */
  readonly sequence: number
  readonly value: A
}

/**
 * One reader of one topic. Until it releases a batch, publishers cannot reuse its memory.
 *
 * It has one cursor. `pull`, `poll`, `batches`, `records` and `recordBatches`, each run any number of times and in any
 * mixture, go on at the first record that was not delivered, even in the middle of a batch; each record comes once. A
 * record is delivered when it was handed out: one by one by `records`, many at once by the other ways to read.
 */
export interface SubscriberHandle<out A> {
  readonly topic: string
  /**
   * The next batches, lent: their bytes are valid until this handle is read again, in any way, which gives them back. Waits for at least one; an empty array only at the end under `untilEnd`, or when the log has stopped and all
   * was read. The first begins with the first record that was not delivered: it is a part of its batch where the
   * records ahead of it were, or were not asked for.
   */
  readonly pull: Effect.Effect<ReadonlyArray<IndexedBatch>, SubscribeError>
  /** `pull` without waiting, for loops that must not suspend; empty when there is nothing new. */
  readonly poll: () => ReadonlyArray<IndexedBatch>
  /** Batches, each lent until the next is pulled. */
  readonly batches: Stream.Stream<IndexedBatch, SubscribeError>
  /**
   * Records, copied: keep them as long as you like. Byte records of one batch are views of one copy, so a single one
   * that is kept keeps its batch's bytes alive.
   *
   * They come one by one, so that a run that ends has taken none that it did not deliver. Where a step of the stream
   * for each record is too slow, use `recordBatches`.
   */
  readonly records: Stream.Stream<Record<A>, SubscribeError | RecordInvalid>
  /** The same, all records of a batch at once: for few steps of the stream. */
  readonly recordBatches: Stream.Stream<Arr.NonEmptyReadonlyArray<Record<A>>, SubscribeError | RecordInvalid>
  /**
   * Passes over the record at `position()` without decoding it, to go on after a record that failed with {@link
   * RecordInvalid}. `false` when no record is there yet.
   */
  readonly skip: () => boolean
  /** Releases everything lent so far. */
  readonly release: () => void
  /**
   * Fails as soon as the log's server is gone, even while nothing is pulled: race it with your other waits. Waiting for
   * it costs nothing while records come.
   */
  readonly lost: Effect.Effect<never, RegionLost>
  /** Position of the first record that is not delivered. */
  readonly position: () => number
  /** Records committed in the topic. */
  readonly committedMessages: () => number
}

/** The requested position is no longer kept. `start` is the oldest position kept. */
export class PositionTrimmed extends Schema.TaggedError<PositionTrimmed>()("PositionTrimmed", {
  topic: Schema.String,
  requested: Schema.Number,
  start: Schema.Number
}) {
  override get message(): string {
    return `topic "${this.topic}": position ${this.requested} is trimmed away (the oldest kept is ${this.start}; `
      + `attach before it is published, or read from "start")`
  }
}

/** A record does not match the topic's schema. Other records are not affected. */
export class RecordInvalid extends Schema.TaggedError<RecordInvalid>()("RecordInvalid", {
  topic: Schema.String,
  position: Schema.Number,
  issue: Schema.String
}) {
  override get message(): string {
    return `topic "${this.topic}": the record at ${this.position} does not match the schema: ${this.issue}`
  }
}

/** The index or a lane contradicts the layout: the memory was damaged from outside. */
export class LogCorrupt extends Schema.TaggedError<LogCorrupt>()("LogCorrupt", {
  topic: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `topic "${this.topic}": ${this.detail}`
  }
}

export type SubscribeError = RegionLost | LogCorrupt

export type OpenSubscriberError = TopicError | RegionError | PositionTrimmed | RegionLost

/**
 * Attaches readers. Once `open` has returned, no memory is reused that the reader has not released; closing the scope
 * ends that.
 *
 * @example
 * ```ts
 * import { Subscriber, Topic } from "ringfence"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const Lines = Topic.make("lines")
 * const program = Effect.gen(function*() {
 *   const subscriber = yield* Subscriber.open(Lines, { from: "start" })
 *   yield* subscriber.records.pipe(Stream.take(1), Stream.runForEach((record) => Effect.log(record.position)))
 * })
 * ```
 */
export class Subscriber extends Context.Service<Subscriber, {
  readonly open: <A>(
    topic: Topic<A>,
    options?: SubscriberOptions
  ) => Effect.Effect<SubscriberHandle<A>, OpenSubscriberError, Scope.Scope>
}>()("ringfence/Subscriber") {
  static open<A>(
    topic: Topic<A>,
    options?: SubscriberOptions
  ): Effect.Effect<SubscriberHandle<A>, OpenSubscriberError, Scope.Scope | Subscriber> {
    return Subscriber.use((subscriber) => subscriber.open(topic, options))
  }
}
