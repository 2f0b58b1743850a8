/**
 * A log that is restored from a replica over any backend: what was acknowledged as durable is there, at its position.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { openReplicaFiles } from "../../../src/layers/files/openReplicaFiles.ts"
import type { Restored } from "../../../src/layers/Log.ts"
import { Publisher } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Subscriber } from "../../../src/services/Subscriber.ts"
import { type Backend, type BackendOptions, bytesOf, smallGeometry, textOf } from "../../backends/log.ts"

const Orders = Topic.make("orders", { ack: "durable" })
const Any = Topic.make("any", { order: "total", ack: "durable" })

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => bytesOf(`record ${from + i}`))

/** Publishes the next records of an input, as a program does that is started again. */
const publishNext = (identity: string, upTo: number) =>
  Effect.scoped(Effect.gen(function*() {
    const publisher = yield* Publisher.open(Orders, { identity })
    yield* publisher.sendAll(numbered(publisher.committed, upTo))
    yield* publisher.flush
    return publisher.committed
  }))

const readAll = (topic: Topic.Topic, from: number, count: number) =>
  Effect.scoped(Effect.gen(function*() {
    const subscriber = yield* Subscriber.open(topic, { from: { position: from } })
    return yield* subscriber.records.pipe(
      Stream.take(count),
      Stream.map(({ position, value }) => [position, textOf(value)] as const),
      Stream.runCollect
    )
  }))

export const restoringSuite = (backend: Backend): void => {
  const on = (
    disk: NonNullable<BackendOptions["disk"]>,
    dirs: ReadonlyArray<string>,
    serve: BackendOptions["serve"] = {},
    history: ReadonlyArray<string> = []
  ) =>
    Effect.provide(
      backend.embedded({
        geometry: smallGeometry,
        disk,
        history,
        serve: { replicas: dirs.map((dir) => ({ dir })), ...serve }
      })
    )

  describe(`restoring a log (${backend.name})`, () => {
    it.live(
      "topics, positions and identities go on where the files end, term after term",
      () =>
        Effect.scoped(Effect.gen(function*() {
          const { disk, root } = yield* backend.disk
          const [first = "", second = ""] = [`${root}/first`, `${root}/second`]
          yield* Effect.gen(function*() {
            assert.strictEqual(yield* publishNext("importer", 500), 0)
            const publisher = yield* Publisher.open(Any)
            yield* publisher.sendAll(numbered(0, 7))
            yield* publisher.flush
          }).pipe(Effect.scoped, on(disk, [first, second]))
          for (let term = 1; term <= 3; term += 1) {
            const told: Array<Restored> = []
            const restore = term === 2 ? second : first
            const serve = { restore, onRestored: (restored: Restored) => Effect.sync(() => void told.push(restored)) }
            yield* Effect.gen(function*() {
              const end = 500 * term
              const before = yield* Subscriber.bounds(Orders)
              assert.deepStrictEqual([before.start, before.end], [end, end])
              assert.strictEqual(yield* publishNext("importer", end + 500), end)
              const found = yield* readAll(Orders, 0, end + 500)
              assert.deepStrictEqual(found, numbered(0, end + 500).map((bytes, i) => [i, textOf(bytes)] as const))
              assert.deepStrictEqual((yield* readAll(Any, 0, 7)).length, 7)
            }).pipe(Effect.scoped, on(disk, [first, second], serve, [first]))
            assert.deepStrictEqual(told.map(({ dir }) => dir), [restore])
            assert.deepStrictEqual(
              told[0]?.topics.toSorted((a, b) => a.topic.localeCompare(b.topic)),
              [
                { topic: "any", records: 7, identities: 0, cursors: 0 },
                { topic: "orders", records: 500 * term, identities: 1, cursors: 0 }
              ]
            )
          }
        })),
      120_000
    )

    it.live(
      "a replica that is further than the one to restore from is refused, and one that is not goes on",
      () =>
        Effect.scoped(Effect.gen(function*() {
          const { disk, root } = yield* backend.disk
          const [first = "", second = ""] = [`${root}/first`, `${root}/second`]
          yield* publishNext("importer", 100).pipe(on(disk, [first]))
          const serve = { restore: first }
          yield* publishNext("importer", 200).pipe(on(disk, [first, second], serve))
          yield* publishNext("importer", 300).pipe(on(disk, [second], { restore: second }))
          // The first one was not named: it is a replica of the former term.
          const refused = yield* Effect.flip(publishNext("importer", 400).pipe(on(disk, [first, second], serve)))
          assert.include(refused.message, second)
          assert.strictEqual(yield* publishNext("importer", 400).pipe(on(disk, [second], { restore: second })), 300)
        })),
      60_000
    )

    it.live("a directory that was not in sync, and one without a replica, are refused", () =>
      Effect.scoped(Effect.gen(function*() {
        const { disk, root } = yield* backend.disk
        const dir = `${root}/replica`
        const restoring = Effect.void.pipe(on(disk, [dir], { restore: dir }))
        const missing = yield* Effect.flip(restoring)
        assert.include(missing.message, `${dir} holds no replica`)
        yield* publishNext("importer", 100).pipe(on(disk, [dir]))
        yield* Effect.scoped(Effect.gen(function*() {
          const files = yield* openReplicaFiles(disk.disk, disk.lock, dir, { logId: undefined })
          yield* files.setInSync(false)
        }))
        const refused = yield* Effect.flip(restoring)
        assert.include(refused.message, `it cannot be restored from ${dir}: its files were not in sync`)
      })))
  })
}
