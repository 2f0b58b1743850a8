/**
 * The reading side of the log: batches are lent, records are copied, both in the order of the topic.
 *
 * Under order `none` a subscriber numbers batches and records itself, from 0, as it finds them: `index` and `position`
 * mean something to this handle alone. A record's place for everyone is its session and its `sequence` there.
 */
import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { RegionLost } from "./CxlMemory.ts"
import type { ArgumentInvalid } from "./input/ArgumentInvalid.ts"
import { NamedProcess, showProcess } from "./schema/ProcessId.ts"
import type { RegionError } from "./schema/RegionError.ts"
import type { Topic, TopicError } from "./schema/Topic.ts"

/**
 * Where to begin: the oldest kept record, the next record to be committed, or a position of the topic. Under order `none`
 * `"start"` is the oldest kept record of each lane of the sessions that are open, `"end"` what is published from now on,
 * and a position is refused with `RegionError` (`invalid`).
 */
export type From = "start" | "end" | { readonly position: number }

/**
 * What happens when memory runs short of room that this subscriber has not read.
 *
 * - `"gate"` (default): it is kept, and publishers wait for the subscriber.
 * - `"lapped"`: it goes, and the subscriber with it: the next record says with its {@link Gap} which ones are missing.
 * - `"history"`: it goes, and the subscriber reads it from the files of a replica, with the same handle, until it has come
 *   back to memory: no record is missing, and none comes twice. For topics with ack `durable`, with `history` directories.
 */
export type Lag = "gate" | "lapped" | "history"

/** The records from position `from` up to `to`, which is not among them: memory had dropped them before they were read. */
export interface Gap {
  readonly from: number
  readonly to: number
}

/** All gaps of a handle together, told or found since. */
export interface Gaps {
  readonly count: number
  readonly records: number
  /** One of them that is known and not told yet, because no record behind it is there. */
  readonly ahead?: Gap | undefined
}

/** Where a subscriber begins by default. */
export const defaultFrom: From = "start"

/** So long behind its last opening, commit or leaving a cursor without a holder is forgotten, by default. */
export const defaultCursorExpiry: Duration.Input = "7 days"

/**
 * What happens to a record that does not match its topic's schema. All records before it are delivered first.
 *
 * - `"fail"`: the run ends with {@link RecordInvalid}. The handle stays before the record: the next run meets it again,
 *   until {@link SubscriberHandle.skip} skips it.
 * - `"skip"`: the record is skipped, and a warning with its position is logged.
 * - a handler: gets the record as bytes, and the error. If it succeeds, the record is skipped; if it fails or is
 *   interrupted, the run ends as with `"fail"`.
 */
export type OnInvalid =
  | "fail"
  | "skip"
  | ((record: Record<Uint8Array>, error: RecordInvalid) => Effect.Effect<void, RecordInvalid>)

/**
 * The records of a topic that can be read: those at `start` and behind it, below `end`, which is the position of the next
 * record to be committed. Both only grow; `end - start` records are kept.
 */
export interface TopicBounds {
  readonly start: number
  readonly end: number
  /**
   * Of a topic with ack `durable`: the records below are on the disks of the required replicas. `undefined` for other
   * topics, and while that is not known: too few replicas are attached, or they are still behind `start`.
   */
  readonly durable?: number | undefined
}

/** Record `sequence + i` of a session stands at `position + i` of the topic, for each `i` below `count`. */
export interface SessionRange {
  readonly sequence: number
  readonly position: number
  readonly count: number
}

export interface SubscriberOptions {
  /**
   * Default {@link defaultFrom}: `"start"`, in programs and on the command line alike, so that a subscriber that
   * attaches a moment after its publisher still gets every kept record. `"end"` gives only new records.
   */
  readonly from?: From | undefined
  /**
   * Whether it keeps memory, and what it does where it does not. Default `"gate"`. The others not under order `none`, whose
   * sessions end only once their subscribers have them. A position that is trimmed already counts as overtaken.
   */
  readonly lag?: Lag | undefined
  /** What `records` and `recordBatches` do with a record that does not match the schema. Default `"fail"`. */
  readonly onInvalid?: OnInvalid | undefined
  /** The name that publishers see while this subscriber keeps them waiting. Default: the process's name. */
  readonly name?: string | undefined
  /** Ends the streams once they reach the last committed record, instead of waiting for more. Default false. */
  readonly untilEnd?: boolean | undefined
  /** Fails with `TopicUnknown` instead of declaring a topic that does not exist. Default false. */
  readonly mustExist?: boolean | undefined
  /**
   * `"ordered"` (default): reads what is committed. `"durable"`: only what is on the disks of the required replicas, so that
   * no record that was read is lost with the memory. For topics with ack `durable`.
   */
  readonly isolation?: "ordered" | "durable" | undefined
  /**
   * The name of a cursor of the topic, of 1 to 64 characters: the subscriber begins where the last
   * {@link SubscriberHandle.commit} under this name was, at `from` if there was none. One subscriber holds it at a time: `open`
   * waits while a living process holds it, and takes it over at once when that one closes its subscriber or dies. Not under
   * order `none`.
   */
  readonly cursor?: string | undefined
  /**
   * Takes the cursor from its holder even if that lives, as a process does that was stopped: its commits then fail with
   * {@link CursorTaken}. Default false.
   */
  readonly takeOver?: boolean | undefined
  /**
   * So long after its last opening, commit or leaving the cursor is forgotten, unless a living process holds it; the next
   * one of that name begins at `from`. The last opening decides. Default {@link defaultCursorExpiry}.
   */
  readonly cursorExpiry?: Duration.Input | undefined
}

export interface CommitOptions {
  /**
   * Returns only when the required replicas have the commit on their disks, together with the records below it: a log that
   * is restored goes on there. For topics with ack `durable`. Default false: the commit outlives this process and the
   * server's, not the region; replicas write it soon.
   */
  readonly durable?: boolean | undefined
  /** Commits up to here instead: at most {@link SubscriberHandle.position}, and not below what is committed. */
  readonly position?: number | undefined
}

/**
 * A committed batch, as the index describes it; under order `none` a published one, as its lane does. Its bytes are lent:
 * valid until the reader releases the batch.
 */
export interface IndexedBatch {
  /** Position of the batch in the topic's index; under order `none` among those that this handle has found. */
  readonly index: number
  /** Position of its first record in the topic; under order `none` among those that this handle has found. */
  readonly position: number
  readonly messageCount: number
  readonly sessionId: number
  readonly batchSequence: number
  /** Position of its first record in its session. */
  readonly firstMessage: number
  /**
   * The identity of its publisher: `record` is the place of its first record among all records of that identity. Absent
   * without one, and under order `none`.
   */
  readonly identity?:
    | { readonly name: string; readonly record: number; readonly incarnation: number }
    | undefined
  readonly broker: number
  /** Length of every record, or 0 when they differ and `lengths` has them. */
  readonly uniformBytes: number
  readonly lengths: Uint32Array | undefined
  /** The records, back to back. */
  readonly payload: Uint8Array
  /**
   * When its publisher sealed it, in wall-clock milliseconds with fractions. It is published right after, unless `skew`
   * or a stop of the publisher delays it: that delay then counts into the time from here to the commit.
   */
  readonly publishedMillis: number
  /** When its epoch was committed, by the clock of the serving process; under order `none` when it was found here. */
  readonly orderedMillis: number
  /** Of a subscriber that may be `lapped`: what is missing ahead of this batch. */
  readonly gap?: Gap | undefined
}

/** A record, copied out of the log. */
export interface Record<out A> {
  /** Its place in the topic's total order; under order `none` among the records that this handle has found. */
  readonly position: number
  readonly sessionId: number
  /** Its place in its session. */
  readonly sequence: number
  readonly value: A
  /** Of a subscriber that may be `lapped`: what is missing ahead of this record. */
  readonly gap?: Gap | undefined
}

/**
 * One reader of one topic. Publishers cannot reuse a batch's memory until the reader releases the batch, unless it is opened
 * with another {@link Lag} than `"gate"`: then it is lent copies.
 *
 * It has one cursor. `pull`, `poll`, `batches`, `records` and `recordBatches`, each run any number of times and in any
 * mixture, continue at the first undelivered record, even in the middle of a batch; each record is delivered once:
 * `records` delivers one at a time, the others many at once.
 */
export interface SubscriberHandle<out A> {
  readonly topic: string
  /**
   * The next batches, lent: their bytes are valid until the next read of this handle, of any kind, releases them. Waits
   * for at least one; returns an empty array only at the end under `untilEnd`, or when the log has stopped and all is
   * read. The first batch begins at the first undelivered record: it is cut where records before it were delivered, or
   * lie before the requested position.
   */
  readonly pull: Effect.Effect<ReadonlyArray<IndexedBatch>, SubscribeError>
  /** `pull` without waiting, for loops that must not suspend; empty when there is nothing new. */
  readonly poll: () => ReadonlyArray<IndexedBatch>
  /** Batches, each lent until the next is pulled. */
  readonly batches: Stream.Stream<IndexedBatch, SubscribeError>
  /**
   * Copied records: keep them as long as you like. Byte records of one batch are views of one copy, so keeping a single
   * record keeps its whole batch's bytes alive.
   *
   * They come one at a time, so that a run that ends has consumed no record that it did not deliver. Where one step of
   * the stream for each record is too slow, use `recordBatches`.
   */
  readonly records: Stream.Stream<Record<A>, SubscribeError | RecordInvalid>
  /** The same, all records of a batch in one step of the stream. */
  readonly recordBatches: Stream.Stream<Arr.NonEmptyReadonlyArray<Record<A>>, SubscribeError | RecordInvalid>
  /**
   * Skips the record at `position()` without decoding it, to continue after a record that failed with {@link
   * RecordInvalid}. `false` when that record does not exist yet.
   */
  readonly skip: () => boolean
  /** Releases all batches lent so far. */
  readonly release: () => void
  /**
   * Fails as soon as the log's server is gone, even while nothing is pulled: race it with your other waits. Waiting for
   * it costs nothing while records arrive.
   */
  readonly lost: Effect.Effect<never, RegionLost>
  /** Position of the first undelivered record. */
  readonly position: () => number
  /**
   * Commits under the name of the cursor that all records delivered so far are handled, and returns the position behind
   * them: there the cursor's next holder begins. Fails with {@link CursorTaken} once another holds the cursor, and with
   * `ArgumentInvalid` without a cursor. Batches that are lent count as delivered.
   */
  readonly commit: (options?: CommitOptions) => Effect.Effect<number, CommitError>
  /** Records committed in the topic; under order `none`, which commits nothing, those that this handle has found. */
  readonly committedMessages: () => number
  /** What it has missed so far: nothing, unless it is opened with `lag: "lapped"`. */
  readonly gaps: () => Gaps
}

/** The requested position has been trimmed. `start` is the oldest position kept. */
export class PositionTrimmed extends Schema.TaggedError<PositionTrimmed>()("PositionTrimmed", {
  topic: Schema.String,
  requested: Schema.Number,
  start: Schema.Number
}) {
  override get message(): string {
    return `topic "${this.topic}": position ${this.requested} is trimmed away (the oldest kept is ${this.start}; `
      + `attach before it is published, read from "start", or give the directories of replicas as history)`
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

/** Older records could not be read from the files of replicas. What was delivered before is valid. */
export class HistoryUnreadable extends Schema.TaggedError<HistoryUnreadable>()("HistoryUnreadable", {
  topic: Schema.String,
  position: Schema.Number,
  detail: Schema.String,
  nextStep: Schema.String
}) {
  override get message(): string {
    return `topic "${this.topic}": the records from ${this.position} on cannot be read from files: ${this.detail} (${this.nextStep})`
  }
}

/**
 * Another subscriber has taken the cursor: `holder`, unless that has left it again. Nothing was committed; the cursor is at
 * `committed`, if anything ever was.
 */
export class CursorTaken extends Schema.TaggedError<CursorTaken>()("CursorTaken", {
  topic: Schema.String,
  cursor: Schema.String,
  /** What was to be committed. */
  position: Schema.Number,
  committed: Schema.optionalKey(Schema.Number),
  holder: Schema.optionalKey(NamedProcess)
}) {
  override get message(): string {
    const by = this.holder === undefined
      ? "another subscriber, which has left it since,"
      : `process ${showProcess(this.holder)}`
    const at = this.committed === undefined ? "nothing is committed" : `the cursor is at ${this.committed}`
    return `topic "${this.topic}": ${by} has taken cursor "${this.cursor}", so position ${this.position} was not committed; `
      + `${at} (end this subscriber: what it handled behind that, the other one handles again)`
  }
}

export type CommitError = CursorTaken | ArgumentInvalid | RegionError | RegionLost

export type SubscribeError = RegionLost | LogCorrupt | HistoryUnreadable

/** What attaching to memory can fail with. */
export type OpenReaderError = TopicError | RegionError | PositionTrimmed | RegionLost

export type OpenSubscriberError = OpenReaderError | HistoryUnreadable

/**
 * Attaches readers. With a named cursor a restarted process goes on where it committed last:
 *
 * @example
 * ```ts
 * import { Subscriber, Topic } from "ringfence"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const billing = Effect.gen(function*() {
 *   const subscriber = yield* Subscriber.open(Topic.make("orders"), { cursor: "billing" })
 *   yield* subscriber.recordBatches.pipe(
 *     Stream.runForEach((records) => Effect.andThen(Effect.log(records.length), subscriber.commit()))
 *   )
 * })
 * ```
 *
 * From the return of `open` until its scope closes, no memory is reused that the reader has not
 * released. A monitor that must never keep a publisher waiting is opened with another {@link Lag}:
 *
 * @example
 * ```ts
 * import { Subscriber, Topic } from "ringfence"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const watch = Effect.gen(function*() {
 *   const subscriber = yield* Subscriber.open(Topic.make("ticks"), { from: "end", lag: "lapped" })
 *   yield* Stream.runForEach(subscriber.records, ({ gap, position }) =>
 *     gap === undefined ? Effect.log(position) : Effect.logWarning(`${gap.to - gap.from} records were missed`))
 * })
 * ```
 *
 * What a subscriber is lent it keeps until its next read:
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
  /**
   * Where the topic begins and ends now, without attaching to it: what is kept may go while no subscriber is attached.
   * Does not declare the topic: fails with `TopicUnknown` if it does not exist. A topic of order `none` has no positions:
   * refused with `RegionError` (`invalid`).
   */
  readonly bounds: <A>(topic: Topic<A>) => Effect.Effect<TopicBounds, TopicError | RegionError | RegionLost>
}>()("ringfence/Subscriber") {
  static open<A>(
    topic: Topic<A>,
    options?: SubscriberOptions
  ): Effect.Effect<SubscriberHandle<A>, OpenSubscriberError, Scope.Scope | Subscriber> {
    return Subscriber.use((subscriber) => subscriber.open(topic, options))
  }

  /**
   * @example
   * ```ts
   * import { Subscriber, Topic } from "ringfence"
   * import * as Effect from "effect/Effect"
   *
   * const Lines = Topic.make("lines")
   * // The last hundred records, or as many as there are.
   * const latest = Effect.gen(function*() {
   *   const { end, start } = yield* Subscriber.bounds(Lines)
   *   return yield* Subscriber.open(Lines, { from: { position: Math.max(start, end - 100) } })
   * })
   * ```
   */
  static bounds<A>(topic: Topic<A>): Effect.Effect<TopicBounds, TopicError | RegionError | RegionLost, Subscriber> {
    return Subscriber.use((subscriber) => subscriber.bounds(topic))
  }

  /**
   * Where a session's records stand in the order, as they are committed; first, those that are kept already. It attaches
   * a subscriber for as long as it runs, which reads no payload: a consumer that stands still holds publishers up, as
   * every subscriber does. Refused under order `none`.
   *
   * @example
   * ```ts
   * import { Publisher, Subscriber, Topic } from "ringfence"
   * import * as Effect from "effect/Effect"
   * import * as Stream from "effect/Stream"
   *
   * const Lines = Topic.make("lines")
   * const program = Effect.gen(function*() {
   *   const publisher = yield* Publisher.open(Lines)
   *   yield* publisher.send(new TextEncoder().encode("hello"))
   *   yield* Subscriber.positionsOf(Lines, publisher).pipe(
   *     Stream.take(1),
   *     Stream.runForEach(({ position, sequence }) => Effect.log(`record ${sequence} is at ${position}`))
   *   )
   * })
   * ```
   */
  static positionsOf<A>(
    topic: Topic<A>,
    { sessionId }: { readonly sessionId: number }
  ): Stream.Stream<SessionRange, OpenSubscriberError | SubscribeError, Subscriber> {
    return Stream.unwrap(Effect.gen(function*() {
      // Also refuses a topic without positions.
      yield* Subscriber.bounds(topic)
      const { batches, release } = yield* Subscriber.open(topic, { from: "start", mustExist: true })
      return batches.pipe(
        // Nothing is read of a batch's bytes: their room comes free at once.
        Stream.tap(() => Effect.sync(release)),
        Stream.filter((batch) => batch.sessionId === sessionId),
        Stream.map(({ firstMessage, messageCount, position }): SessionRange => ({
          sequence: firstMessage,
          position,
          count: messageCount
        }))
      )
    }))
  }
}
