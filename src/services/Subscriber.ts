/**
 * The reading side of the log: batches in the total order, lent; records in the total order, copied.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { IndexReader } from "../layers/ports/IndexPort.ts"
import type { RegionLost } from "./CxlMemory.ts"
import { readOptions, refuseUnless } from "./input/OptionInvalid.ts"
import { ReadingCursor } from "./ReadingCursor.ts"
import { RecordDecoding } from "./RecordDecoding.ts"
import type { RegionError } from "./schema/RegionError.ts"
import type { Topic, TopicError } from "./schema/Topic.ts"
import { LogCorrupt, type PositionTrimmed, type RecordInvalid, type SubscribeError } from "./SubscribeError.ts"

export * from "./SubscribeError.ts"

/** Where to begin: the oldest kept record, the next one to be committed, or a position of the topic. */
export type From = "start" | "end" | { readonly position: number }

/** Where a subscriber begins that was not told. */
export const defaultFrom: From = "start"

/**
 * What becomes of a record that does not match its topic's schema. Everything ahead of it is delivered in any case.
 *
 * - `"fail"`: the run ends with {@link RecordInvalid}. The handle stays in front of the record: the next run meets it
 *   again, until {@link SubscriberHandle.skip} passes over it.
 * - `"skip"`: the record is passed over, and a warning with its position is logged.
 * - a handler: gets the record as bytes, and what is wrong with it. When it succeeds the record is passed over; when it
 *   fails, or is interrupted, the run ends as with `"fail"`.
 */
export type OnInvalid =
  | "fail"
  | "skip"
  | ((record: Record<Uint8Array>, error: RecordInvalid) => Effect.Effect<void, RecordInvalid>)

export interface SubscriberOptions {
  /**
   * Default {@link defaultFrom}: `"start"`, in programs and on the command line alike, because then a subscriber that
   * comes a moment after its publisher has all that is kept. Who wants only what is new says `"end"`.
   */
  readonly from?: From | undefined
  /** What `records` and `recordBatches` do about a record that does not match the schema. Default `"fail"`. */
  readonly onInvalid?: OnInvalid | undefined
  /** Shown wherever this subscriber keeps publishers waiting. Default: the process's name. */
  readonly name?: string | undefined
  /** Ends the streams at the last record committed when it was reached, instead of waiting for more. Default false. */
  readonly untilEnd?: boolean | undefined
  /** Fails with `TopicUnknown` instead of declaring a topic that is not there. Default false. */
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
  /** Length of every record, or 0 when `lengths` tells them. */
  readonly uniformBytes: number
  readonly lengths: Uint32Array | undefined
  /** The records, one behind the other. */
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
 * It has one cursor. `pull`, `poll`, `batches`, `records` and `recordBatches`, each run anew as often as you like and in
 * any mixture, go on at the first record that was not delivered, in the middle of a batch, too; all records come once.
 * A record is delivered when it was handed out: by `records` one by one, by the others with all that they hand out at
 * once.
 */
export interface SubscriberHandle<out A> {
  readonly topic: string
  /**
   * The next batches, lent: their bytes are valid until this handle is read again in whatever way, which gives them
   * back. Waits for at least one; an empty array only at the end under `untilEnd`, or when the log has stopped and all
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
   * for each record is too much, see `recordBatches`.
   */
  readonly records: Stream.Stream<Record<A>, SubscribeError | RecordInvalid>
  /** The same, all records of a batch at once: for few steps of the stream. */
  readonly recordBatches: Stream.Stream<Arr.NonEmptyReadonlyArray<Record<A>>, SubscribeError | RecordInvalid>
  /**
   * Passes over the record at `position()` without decoding it, which is how to go on behind one that failed with
   * {@link RecordInvalid}. `false` when no record is there yet.
   */
  readonly skip: () => boolean
  /** Gives back everything lent so far. */
  readonly release: () => void
  /**
   * Fails as soon as the log's server is gone, also while nothing is pulled: race it with what else you wait for.
   * Waiting for it costs nothing while records come.
   */
  readonly lost: Effect.Effect<never, RegionLost>
  /** Position of the first record that is not delivered. */
  readonly position: () => number
  /** Records committed in the topic. */
  readonly committedMessages: () => number
}

export type OpenSubscriberError = TopicError | RegionError | PositionTrimmed | RegionLost

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

/** Refuses options that cannot be, before a reader is attached. For the backends of layers. */
export const checkSubscriberOptions = (
  region: string,
  { from = defaultFrom }: SubscriberOptions = {}
): Effect.Effect<void, RegionError> =>
  readOptions(region, () => {
    if (typeof from !== "object") return
    const { position } = from
    refuseUnless(
      Number.isSafeInteger(position) && position >= 0,
      "from.position",
      position,
      "a whole number that is not negative"
    )
  })

/**
 * A subscriber over a reader of the index. The backend of layers that attached the reader detaches it.
 */
export const makeSubscriber = Effect.fnUntraced(function*<A>(
  topic: Topic<A>,
  reader: IndexReader,
  options?: SubscriberOptions
): Effect.fn.Return<SubscriberHandle<A>, never, Scope.Scope> {
  const cursor = new ReadingCursor(reader, options?.from ?? defaultFrom)
  yield* Effect.addFinalizer(() => Effect.sync(() => cursor.close()))
  const pulling = pullingFrom(topic.name, reader, cursor, options?.untilEnd === true)
  const decoding = new RecordDecoding(topic, cursor, options?.onInvalid ?? "fail")
  const lendAll = () => Effect.succeed(cursor.lendAll())
  const poll = () => {
    cursor.release()
    return cursor.ready() ? cursor.lendAll() : none
  }
  return {
    topic: topic.name,
    pull: pulling(lendAll, Effect.succeed(none)),
    poll,
    batches: streamOf(pulling(() => Effect.succeed([cursor.lend()]), Cause.done())),
    records: streamOf(pulling(decoding.nextRecord, Cause.done())),
    recordBatches: streamOf(pulling(decoding.nextBatch, Cause.done())),
    skip: () => {
      cursor.release()
      return cursor.ready() && cursor.pass(cursor.position)
    },
    release: () => cursor.release(),
    lost: reader.waiter.untilLost,
    position: () => cursor.position,
    committedMessages: () => reader.committedMessages()
  }
})

// --- internal ---

const none: ReadonlyArray<never> = []

const died = ({ waiter }: IndexReader): RegionLost | undefined => {
  const lost = waiter.lost()
  return lost?.reason === "died" ? lost : undefined
}

// Waiting only polls: what a pull that is interrupted has polled is delivered by the next.
const pullingFrom = (topic: string, reader: IndexReader, cursor: ReadingCursor, untilEnd: boolean) => {
  const look = (): "ready" | "end" | LogCorrupt | RegionLost | undefined => {
    if (cursor.ready()) return "ready"
    const damage = reader.damage()
    if (damage !== undefined) return new LogCorrupt({ topic, detail: damage })
    if (reader.finished()) return "end"
    // What the dead had not committed yet is no end that was reached.
    return untilEnd ? died(reader) ?? "end" : undefined
  }
  const awaited = reader.waiter.until(look)
  /** Delivers by `deliver`; where another fiber was first (`undefined`), what comes after. */
  return <B, E, F>(deliver: () => Effect.Effect<B | undefined, E>, end: Effect.Effect<B, F>) => {
    const pull: Effect.Effect<B, E | F | SubscribeError> = Effect.suspend(() => {
      cursor.release()
      const found = look()
      if (found === undefined) return Effect.andThen(awaited, pull)
      if (found === "end") return end
      if (found !== "ready") return Effect.fail(found)
      const delivering = deliver()
      // Most of what is delivered is there already, and a step of the fiber less is what many records feel.
      if (isDelivered(delivering)) return delivering
      return Effect.flatMap(delivering, (delivered) => delivered === undefined ? pull : Effect.succeed(delivered))
    })
    return pull
  }
}

const isDelivered = <B, E>(delivering: Effect.Effect<B | undefined, E>): delivering is Exit.Success<B, never> =>
  Exit.isExit(delivering) && Exit.isSuccess(delivering) && delivering.value !== undefined

// One element a pull: the stream asks for the next only when the last was consumed. Of a longer chunk a run that ends
// does not say how much it has consumed.
const streamOf = <B, E>(
  pull: Effect.Effect<Arr.NonEmptyReadonlyArray<B>, E | Cause.Done>
): Stream.Stream<B, E> => Stream.fromPull(Effect.succeed(pull))
