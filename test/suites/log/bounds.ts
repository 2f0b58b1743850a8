/**
 * Where a topic begins and ends, and how far behind its subscribers are.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Publisher } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Subscriber } from "../../../src/services/Subscriber.ts"
import { type Backend, smallGeometry } from "../../backends/log.ts"
import { type ManualLog, writeBatch } from "../../faults/manual.ts"

const Bounded = Topic.make("bounded")
const Unordered = Topic.make("unordered", { order: "none" })

export const boundsSuite = (backend: Backend): void => {
  const provide = Effect.provide(backend.embedded({ geometry: smallGeometry }))

  describe(`bounds and lag (${backend.name})`, () => {
    it.live("a topic's bounds are its oldest kept record and its next one, and asking attaches and declares nothing", () =>
      Effect.gen(function*() {
        const unknown = yield* Effect.flip(Subscriber.bounds(Bounded))
        assert.strictEqual(unknown._tag, "TopicUnknown")
        const publisher = yield* Publisher.open(Bounded)
        assert.deepStrictEqual(yield* Subscriber.bounds(Bounded), { start: 0, end: 0 })
        for (let i = 0; i < 3; i += 1) yield* publisher.send(new Uint8Array(10))
        yield* publisher.flush
        assert.deepStrictEqual(yield* Subscriber.bounds(Bounded), { start: 0, end: 3 })
        assert.deepStrictEqual(publisher.readers(), [])
      }).pipe(Effect.scoped, provide))

    it.live("bounds follow what is trimmed: a subscriber begins at the start, and not below it", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Bounded)
        for (let i = 0; i < 400; i += 1) {
          yield* publisher.send(new Uint8Array(1000))
          if (i % 4 === 3) yield* publisher.flush
        }
        const { end, start } = yield* Subscriber.bounds(Bounded)
        assert.strictEqual(end, 400)
        assert.isTrue(start > 0 && start < end, `${start}`)
        const refused = yield* Effect.flip(Subscriber.open(Bounded, { from: { position: start - 1 } }))
        assert.isTrue(refused._tag === "PositionTrimmed" && refused.start === start, refused.message)
        const subscriber = yield* Subscriber.open(Bounded, { from: { position: start } })
        const [batch] = yield* subscriber.pull
        assert.strictEqual(batch?.position, start)
      }).pipe(Effect.scoped, provide))

    it.live("a topic without an order has no bounds, and is refused", () =>
      Effect.gen(function*() {
        yield* Publisher.open(Unordered)
        const error = yield* Effect.flip(Subscriber.bounds(Unordered))
        assert.isTrue(error._tag === "RegionError" && error.fault === "invalid", error.message)
        assert.include(error.message, "no positions that two subscribers share")
      }).pipe(Effect.scoped, provide))

    for (const order of ["session", "total"] as const) {
      it.live(`order ${order}: a publisher learns the position of each of its acknowledged records`, () =>
        Effect.gen(function*() {
          const topic = Topic.make(`positions-${order}`, { order })
          const publishers = [yield* Publisher.open(topic), yield* Publisher.open(topic)]
          const send = (rounds: number) =>
            Effect.forEach(
              Array.from({ length: rounds }),
              (_, round) =>
                Effect.forEach(publishers, (publisher, i) =>
                  Effect.andThen(
                    publisher.sendAll(Array.from({ length: 1 + (round + i) % 3 }, () => new Uint8Array(9))),
                    round % 4 === 0 ? publisher.flush : Effect.sync(publisher.seal)
                  ))
            )
          // Some are kept already when it is asked, the others come while it is followed.
          yield* send(9)
          const reader = yield* Subscriber.open(topic, { from: "start" })
          const following = yield* Effect.forEach(publishers, (publisher) =>
            Effect.forkChild(
              Subscriber.positionsOf(topic, publisher).pipe(
                Stream.flatMap(({ count, position, sequence }) =>
                  Stream.fromIterable(Array.from({ length: count }, (_, i) => [sequence + i, position + i] as const))
                ),
                Stream.take(36),
                Stream.runCollect
              ),
              { startImmediately: true }
            ))
          yield* send(9)
          for (const publisher of publishers) yield* publisher.flush
          const records = yield* reader.records.pipe(Stream.take(publishers.length * 36), Stream.runCollect)
          for (const [i, publisher] of publishers.entries()) {
            assert.deepStrictEqual(
              yield* Fiber.join(following[i]!),
              records.filter(({ sessionId }) => sessionId === publisher.sessionId)
                .map(({ position, sequence }) => [sequence, position] as const)
            )
          }
        }).pipe(Effect.scoped, provide))
    }

    it.live("a topic without an order has no positions of records, and an unknown one none either", () =>
      Effect.gen(function*() {
        const positionsOf = (topic: Topic.Topic) =>
          Effect.flip(Stream.runDrain(Subscriber.positionsOf(topic, { sessionId: 1 })))
        assert.strictEqual((yield* positionsOf(Bounded))._tag, "TopicUnknown")
        const publisher = yield* Publisher.open(Unordered)
        const error = yield* positionsOf(Unordered)
        assert.isTrue(error._tag === "RegionError" && error.fault === "invalid", error.message)
        assert.deepStrictEqual(publisher.readers(), [])
      }).pipe(Effect.scoped, provide))

    for (const topic of [Bounded, Unordered]) {
      it.live(`order ${topic.order}: a subscriber's lag is what it has not released, in batches and in records`, () =>
        backend.manual(smallGeometry, (log) =>
          Effect.gen(function*() {
            const { port: reader } = yield* log.attach(topic, "start")
            const { port: lanes } = yield* log.open(topic)
            assert.deepStrictEqual(yield* lagOf(log), [0, 0])
            writeBatch(lanes, 0, { sequence: 0, firstMessage: 0, lengths: [8, 8, 8] })
            writeBatch(lanes, 0, { sequence: 1, firstMessage: 3, lengths: [8, 4] })
            lanes.publish(0)
            while (yield* log.step) continue
            assert.deepStrictEqual(yield* lagOf(log), [2, 5])
            reader.poll(2)
            assert.deepStrictEqual(yield* lagOf(log), [2, 5])
            reader.release(1)
            assert.deepStrictEqual(yield* lagOf(log), [1, 2])
            reader.release(2)
            assert.deepStrictEqual(yield* lagOf(log), [0, 0])
            const [state] = (yield* log.snapshot).topics
            assert.deepStrictEqual(state?.bounds, { start: 0, end: topic.order === "none" ? 0 : 5 })
          })))
    }
  })
}

// --- internal ---

const lagOf = (log: ManualLog) =>
  Effect.map(log.snapshot, ({ topics }) => {
    const reader = topics[0]?.readers[0]
    return [reader?.behindBatches, reader?.behindRecords]
  })
