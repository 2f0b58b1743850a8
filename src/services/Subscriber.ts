/**
 * The reading side of the log: batches in the total order, lent; records in the total order, copied.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { RegionError } from "./CxlMemory.ts"
import type { IndexedBatch } from "./Lane.ts"
import type { LogLost } from "./Sequencer.ts"
import type { Topic, TopicError } from "./Topic.ts"

/** The position asked for is no longer kept. `start` is the oldest that is. */
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

/** A record could not be decoded with the topic's schema. The others are not affected. */
export class RecordInvalid extends Schema.TaggedError<RecordInvalid>()("RecordInvalid", {
  topic: Schema.String,
  position: Schema.Number,
  issue: Schema.String
}) {
  override get message(): string {
    return `topic "${this.topic}": the record at ${this.position} does not match the schema: ${this.issue}`
  }
}

/** What the index or a lane holds contradicts the layout: the memory was damaged from outside. */
export class LogCorrupt extends Schema.TaggedError<LogCorrupt>()("LogCorrupt", {
  topic: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `topic "${this.topic}": ${this.detail}`
  }
}

/** Where to begin: the oldest kept record, the next one to be committed, or a position of the topic. */
export type From = "start" | "end" | { readonly position: number }

export interface SubscriberOptions {
  /** Default `"end"`. */
  readonly from?: From | undefined
  /** Shown wherever this subscriber keeps publishers waiting. Default: the process's name. */
  readonly name?: string | undefined
  /** Ends the streams at the last record committed when it was reached, instead of waiting for more. Default false. */
  readonly untilEnd?: boolean | undefined
  /** Fails with `TopicUnknown` instead of declaring a topic that is not there. Default false. */
  readonly mustExist?: boolean | undefined
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

export type SubscribeError = LogLost | LogCorrupt

/**
 * One reader of one topic. Until it releases a batch, publishers cannot reuse its memory.
 */
export interface SubscriberHandle<out A> {
  readonly topic: string
  /**
   * The next batches, lent: their bytes are valid until the next pull, which gives them back. Waits for at least
   * one; an empty array only at the end under `untilEnd`, or when the log has stopped and all was read.
   */
  readonly pull: Effect.Effect<ReadonlyArray<IndexedBatch>, SubscribeError>
  /** `pull` without waiting, for loops that must not suspend; empty when there is nothing new. */
  readonly poll: () => ReadonlyArray<IndexedBatch>
  /** Batches, each lent until the next is pulled. */
  readonly batches: Stream.Stream<IndexedBatch, SubscribeError>
  /** Records, copied: keep them as long as you like. */
  readonly records: Stream.Stream<Record<A>, SubscribeError | RecordInvalid>
  /** Gives back everything lent so far. */
  readonly release: () => void
  /** Position of the next record to be delivered. */
  readonly position: () => number
  /** Records committed in the topic. */
  readonly committedMessages: () => number
}

export type OpenSubscriberError = TopicError | RegionError | PositionTrimmed | LogLost

/**
 * Attaches readers. From the moment `open` returns nothing that the reader has not released is reused; closing the
 * scope gives that up.
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
