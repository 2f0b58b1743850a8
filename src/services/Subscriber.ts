/**
 * The reading side of the log: batches in the total order, lent; records in the total order, copied.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { RegionError } from "./CxlMemory.ts"
import type { IndexedBatch, IndexReader } from "./Lane.ts"
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
   * one; an empty array only at the end under `untilEnd`, or when the log has stopped and all was read. The first
   * batch may begin before the position that was asked for; `records` skips what comes before it.
   */
  readonly pull: Effect.Effect<ReadonlyArray<IndexedBatch>, SubscribeError>
  /** `pull` without waiting, for loops that must not suspend; empty when there is nothing new. */
  readonly poll: () => ReadonlyArray<IndexedBatch>
  /** Batches, each lent until the next is pulled. */
  readonly batches: Stream.Stream<IndexedBatch, SubscribeError>
  /**
   * Records, copied: keep them as long as you like. Byte records of one batch are views of one copy, so a single one
   * that is kept keeps its batch's bytes alive.
   */
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

/**
 * A subscriber over a reader of the index. The family of layers that attached the reader detaches it.
 */
export const makeSubscriber = Effect.fnUntraced(function*<A>(
  topic: Topic<A>,
  reader: IndexReader,
  options?: SubscriberOptions
): Effect.fn.Return<SubscriberHandle<A>, never, Scope.Scope> {
  const from = options?.from ?? "end"
  const cursor = new LendingCursor(reader, from)
  yield* Effect.addFinalizer(() => Effect.sync(() => cursor.release()))
  const untilEnd = options?.untilEnd === true
  const pull = pullFrom(topic.name, reader, cursor, untilEnd)
  return {
    topic: topic.name,
    pull,
    poll: () => cursor.next(),
    batches: streamOf(pull),
    records: streamOf(pullRecords(topic, pull, cursor)),
    release: () => cursor.release(),
    position: () => cursor.position,
    committedMessages: () => reader.committedMessages()
  }
})

// --- internal ---

/** Batches lent at once: few enough that publishers are not kept waiting for a whole lane. */
const batchesLentMax = 16

/** What is lent, and where the next pull begins. */
class LendingCursor {
  position: number
  readonly from: number
  readonly #reader: IndexReader

  constructor(reader: IndexReader, from: From) {
    this.#reader = reader
    this.from = typeof from === "object" ? from.position : 0
    this.position = from === "end" ? reader.committedMessages() : this.from
  }

  next(): ReadonlyArray<IndexedBatch> {
    this.release()
    const batches = this.#reader.poll(batchesLentMax)
    const last = batches.at(-1)
    if (last !== undefined) this.position = last.position + last.messageCount
    return batches
  }

  release(): void {
    this.#reader.release(this.#reader.next())
  }
}

const none: ReadonlyArray<never> = []

const pullFrom = (topic: string, reader: IndexReader, cursor: LendingCursor, untilEnd: boolean) => {
  const check = (): ReadonlyArray<IndexedBatch> | LogCorrupt | undefined => {
    const batches = cursor.next()
    if (batches.length > 0) return batches
    const damage = reader.damage()
    if (damage !== undefined) return new LogCorrupt({ topic, detail: damage })
    return untilEnd || reader.finished() ? none : undefined
  }
  return Effect.suspend((): Effect.Effect<ReadonlyArray<IndexedBatch>, SubscribeError> => {
    const now = check()
    const found = now === undefined ? reader.waiter.until(check) : Effect.succeed(now)
    return Effect.flatMap(found, (batches) => isCorrupt(batches) ? Effect.fail(batches) : Effect.succeed(batches))
  })
}

const isCorrupt = (found: ReadonlyArray<IndexedBatch> | LogCorrupt): found is LogCorrupt => found instanceof LogCorrupt

// One pull a chunk: the stream asks for the next only when the last was consumed, which is what lending needs.
const streamOf = <B, E>(pull: Effect.Effect<ReadonlyArray<B>, E>): Stream.Stream<B, E> =>
  Stream.fromPull(
    Effect.succeed(Effect.flatMap(pull, (values) => isNonEmpty(values) ? Effect.succeed(values) : Cause.done()))
  )

const isNonEmpty = <B>(values: ReadonlyArray<B>): values is Arr.NonEmptyReadonlyArray<B> => values.length > 0

// Copies and gives the batches back at once. Batches that end before the position asked for give nothing.
const pullRecords = <A>(
  topic: Topic<A>,
  pull: Effect.Effect<ReadonlyArray<IndexedBatch>, SubscribeError>,
  cursor: LendingCursor
): Effect.Effect<ReadonlyArray<Record<A>>, SubscribeError | RecordInvalid> => {
  const read = readRecords(topic)
  return Effect.gen(function*() {
    while (true) {
      const batches = yield* pull
      const copied = batches.flatMap((batch) => copyRecords(batch, cursor.from))
      cursor.release()
      if (copied.length > 0 || batches.length === 0) return yield* read(copied)
    }
  })
}

const copyRecords = (batch: IndexedBatch, from: number): Array<Record<Uint8Array>> => {
  const bytes = batch.payload.slice()
  const records: Array<Record<Uint8Array>> = []
  let at = 0
  for (let i = 0; i < batch.messageCount; i += 1) {
    const end = at + (batch.lengths === undefined ? batch.uniformBytes : batch.lengths[i] as number)
    const position = batch.position + i
    if (position >= from) {
      const value = bytes.subarray(at, end)
      records.push({ position, sessionId: batch.sessionId, sequence: batch.firstMessage + i, value })
    }
    at = end
  }
  return records
}

const readRecords = <A>(topic: Topic<A>) => {
  const codec = topic.codec
  return (
    records: ReadonlyArray<Record<Uint8Array>>
  ): Effect.Effect<ReadonlyArray<Record<A>>, RecordInvalid> =>
    codec === undefined
      ? Effect.succeed(records as ReadonlyArray<Record<any>>)
      : Effect.forEach(records, (record) =>
        codec.decode(record.value).pipe(
          Effect.mapBoth({
            onSuccess: (value): Record<A> => ({ ...record, value }),
            onFailure: (error) =>
              new RecordInvalid({ topic: topic.name, position: record.position, issue: error.message })
          })
        ))
}
