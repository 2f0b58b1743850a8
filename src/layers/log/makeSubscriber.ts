/**
 * Makes a subscriber over a reader of the index: pulls, streams, and their ends.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { RegionLost } from "../../services/CxlMemory.ts"
import type { Topic } from "../../services/schema/Topic.ts"
import {
  defaultFrom,
  LogCorrupt,
  type SubscribeError,
  type SubscriberHandle,
  type SubscriberOptions
} from "../../services/Subscriber.ts"
import type { IndexPort } from "../ports/IndexPort.ts"
import { committing } from "./cursor/committing.ts"
import type { Holding } from "./cursor/openWithCursor.ts"
import { ReadingCursor } from "./ReadingCursor.ts"
import { RecordDecoding } from "./RecordDecoding.ts"

/**
 * A subscriber over a reader of the index, and with a cursor that it holds. The backend that attached the reader detaches it.
 */
export const makeSubscriber = Effect.fnUntraced(function*<A>(
  topic: Topic<A>,
  reader: IndexPort,
  options?: SubscriberOptions,
  holding?: Holding
): Effect.fn.Return<SubscriberHandle<A>, never, Scope.Scope> {
  const cursor = new ReadingCursor(reader, options?.from ?? defaultFrom)
  yield* Effect.addFinalizer(() => Effect.sync(() => cursor.close()))
  const pulling = pullingFrom(topic.name, reader, cursor, options?.untilEnd === true)
  const decoding = new RecordDecoding(topic, cursor, options?.onInvalid ?? "fail")
  const nextRecord = pulling(decoding.nextRecord, Cause.done())
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
    records: streamOf(topic.codec === undefined ? oneByOne(cursor, nextRecord) : nextRecord),
    recordBatches: streamOf(pulling(decoding.nextBatch, Cause.done())),
    skip: () => {
      cursor.release()
      return cursor.ready() && cursor.skip(cursor.position)
    },
    release: () => cursor.release(),
    lost: reader.waiter.untilLost,
    position: () => cursor.position,
    commit: committing(topic, holding, () => cursor.delivered),
    committedMessages: () => reader.committedMessages(),
    gaps: () => cursor.gaps
  }
})

// --- internal ---

const none: ReadonlyArray<never> = []

const died = ({ waiter }: IndexPort): RegionLost | undefined => {
  const lost = waiter.lost()
  return lost !== undefined && lost.reason !== "stopped" ? lost : undefined
}

// Waiting only polls: the next pull delivers what an interrupted pull has polled.
const pullingFrom = (topic: string, reader: IndexPort, cursor: ReadingCursor, untilEnd: boolean) => {
  const readiness = (): "ready" | "end" | SubscribeError | undefined => {
    if (cursor.ready()) return "ready"
    const failure = reader.failure?.()
    if (failure !== undefined) return failure
    const damage = reader.damage()
    if (damage !== undefined) return new LogCorrupt({ topic, detail: damage })
    if (reader.finished()) return "end"
    if (!untilEnd || reader.isReadingHistory?.() === true) return undefined
    // A server that died may have left batches uncommitted, which its successor commits: that is not the end of the topic.
    return reader.waiter.awaitsServer() ? undefined : died(reader) ?? "end"
  }
  const awaited = reader.waiter.until(readiness)
  /** Delivers with `deliver`, and tries again if another fiber was first (`undefined`). */
  return <B, E, F>(deliver: () => Effect.Effect<B | undefined, E>, end: Effect.Effect<B, F>) => {
    const pull: Effect.Effect<B, E | F | SubscribeError> = Effect.suspend(() => {
      cursor.release()
      const found = readiness()
      if (found === undefined) return Effect.andThen(awaited, pull)
      if (found === "end") return end
      if (found !== "ready") return Effect.fail(found)
      const delivering = deliver()
      // Most records are ready: save them a step of the fiber.
      if (isDelivered(delivering)) return delivering
      return Effect.flatMap(delivering, (delivered) => delivered === undefined ? pull : Effect.succeed(delivered))
    })
    return pull
  }
}

// The path of byte records after the first of their batch: one step of the fiber, and a view of the batch's copy.
const oneByOne = <B, E>(cursor: ReadingCursor, pull: Effect.Effect<readonly [B], E>): Effect.Effect<readonly [B], E> =>
  Effect.suspend(() => {
    const record = cursor.next()
    return record === undefined ? pull : Effect.succeed([record as B])
  })

const isDelivered = <B, E>(delivering: Effect.Effect<B | undefined, E>): delivering is Exit.Success<B, never> =>
  Exit.isExit(delivering) && Exit.isSuccess(delivering) && delivering.value !== undefined

// Pull one element at a time: a run that ends does not say how much of a longer chunk it has consumed.
const streamOf = <B, E>(
  pull: Effect.Effect<Arr.NonEmptyReadonlyArray<B>, E | Cause.Done>
): Stream.Stream<B, E> => Stream.fromPull(Effect.succeed(pull))
