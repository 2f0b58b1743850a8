/**
 * Subscribers over any backend that read what memory no longer has from the files of replicas, and join memory.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Publisher } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Subscriber } from "../../../src/services/Subscriber.ts"
import { type Backend, bytesOf, smallGeometry, textOf } from "../../backends/log.ts"

const Orders = Topic.make("orders", { ack: "durable" })

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => bytesOf(`record ${from + i}`))

/** Runs over a log whose subscribers find in its one replica what memory has not. */
export const overOneReplica = (backend: Backend) => <A, E, R>(run: Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.gen(function*() {
    const { disk, root } = yield* backend.disk
    const dir = `${root}/replica`
    return yield* run.pipe(
      Effect.scoped,
      Effect.provide(
        backend.embedded({ geometry: smallGeometry, disk, history: [dir], serve: { replicas: [{ dir }] } })
      )
    )
  }))

export const historySuite = (backend: Backend): void => {
  const withHistory = overOneReplica(backend)

  const publish = (from: number, to: number) =>
    Effect.scoped(Effect.gen(function*() {
      const publisher = yield* Publisher.open(Orders)
      yield* publisher.sendAll(numbered(from, to))
      yield* publisher.flush
    }))

  const take = (count: number, options: Parameters<typeof Subscriber.open>[1]) =>
    Effect.scoped(Effect.gen(function*() {
      const subscriber = yield* Subscriber.open(Orders, options)
      return yield* subscriber.records.pipe(
        Stream.take(count),
        Stream.map(({ position, value }) => [position, textOf(value)] as const),
        Stream.runCollect
      )
    }))

  const wanted = (from: number, to: number) => numbered(from, to).map((bytes, i) => [from + i, textOf(bytes)] as const)

  describe(`history (${backend.name})`, () => {
    it.live(
      "a log many times its memory is read from the start, while it grows",
      () =>
        withHistory(Effect.gen(function*() {
          yield* publish(0, 30_000)
          assert.isAbove((yield* Subscriber.bounds(Orders)).start, 10_000)
          const reading = yield* Effect.forkChild(take(45_000, { from: "start" }), { startImmediately: true })
          yield* publish(30_000, 45_000)
          assert.deepStrictEqual(yield* Fiber.join(reading), wanted(0, 45_000))
        })),
      120_000
    )

    it.live(
      "a trimmed position begins within a batch of the files; the end is the end of the log",
      () =>
        withHistory(Effect.gen(function*() {
          yield* publish(0, 40_000)
          assert.isAbove((yield* Subscriber.bounds(Orders)).start, 10_000)
          const read = yield* Effect.scoped(Effect.gen(function*() {
            const subscriber = yield* Subscriber.open(Orders, { from: { position: 1234 }, untilEnd: true })
            assert.strictEqual(subscriber.position(), 1234)
            return yield* subscriber.records.pipe(
              Stream.map(({ position, value }) => [position, textOf(value)] as const),
              Stream.runCollect
            )
          }))
          assert.deepStrictEqual(read, wanted(1234, 40_000))
          assert.deepStrictEqual(yield* take(10, { from: { position: 5 }, isolation: "durable" }), wanted(5, 15))
        })),
      140_000
    )

    it.live("while it reads files it holds up no publisher", () =>
      withHistory(Effect.gen(function*() {
        yield* publish(0, 40_000)
        assert.isAbove((yield* Subscriber.bounds(Orders)).start, 10_000)
        const subscriber = yield* Subscriber.open(Orders, { from: "start" })
        assert.strictEqual(subscriber.position(), 0)
        const first = yield* subscriber.pull
        assert.strictEqual(first[0]?.position, 0)
        yield* publish(40_000, 60_000)
        let [batches, next] = [first, 0]
        for (;;) {
          for (const { messageCount, position } of batches) {
            assert.strictEqual(position, next)
            next += messageCount
          }
          if (next >= 60_000) break
          batches = yield* subscriber.pull
        }
        assert.strictEqual(next, 60_000)
      })), 140_000)

    it.live(
      "without history a trimmed position is refused, and start is the oldest kept",
      () =>
        Effect.scoped(Effect.gen(function*() {
          const { disk, root } = yield* backend.disk
          yield* Effect.gen(function*() {
            yield* publish(0, 40_000)
            const { start } = yield* Subscriber.bounds(Orders)
            assert.isAbove(start, 10_000)
            const refused = yield* Effect.flip(take(1, { from: { position: 0 } }))
            assert.strictEqual(refused._tag, "PositionTrimmed")
            // The sequencer may trim on: the replica has just released the last of what was short of room.
            const [first] = yield* take(1, { from: "start" })
            const oldest = first?.[0] ?? 0
            const { start: after } = yield* Subscriber.bounds(Orders)
            assert.isTrue(start <= oldest && oldest <= after, `${start} ${oldest} ${after}`)
            assert.deepStrictEqual([first], wanted(oldest, oldest + 1))
          }).pipe(
            Effect.provide(
              backend.embedded({ geometry: smallGeometry, disk, serve: { replicas: [{ dir: `${root}/replica` }] } })
            )
          )
        })),
      60_000
    )
  })
}
