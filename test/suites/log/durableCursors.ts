/**
 * Named cursors of durable topics over any backend: a durable commit outlives the memory, and what a cursor has missed is
 * read from files.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { openReplicaFiles } from "../../../src/layers/files/openReplicaFiles.ts"
import { CursorStore } from "../../../src/layers/files/replica/CursorStore.ts"
import type { TopicFiles } from "../../../src/layers/files/ReplicaFiles.ts"
import { Publisher } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Subscriber, type SubscriberHandle, type SubscriberOptions } from "../../../src/services/Subscriber.ts"
import { type Backend, type BackendOptions, bytesOf, smallGeometry, textOf } from "../../backends/log.ts"
import { faultyDisk } from "../../faults/disks.ts"

const Orders = Topic.make("orders", { ack: "durable" })
const declared = { order: Orders.order, ack: Orders.ack }

const publish = (from: number, to: number) =>
  Effect.scoped(Effect.gen(function*() {
    const publisher = yield* Publisher.open(Orders)
    yield* publisher.sendAll(Array.from({ length: to - from }, (_, i) => bytesOf(`r${from + i}`)))
    yield* publisher.flush
  }))

const take = (subscriber: SubscriberHandle<Uint8Array>, count: number) =>
  subscriber.records.pipe(
    Stream.take(count),
    Stream.map(({ position, value }) => `${position} ${textOf(value)}`),
    Stream.runCollect
  )

const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${from + i} r${from + i}`)

const billing = <A, E, R>(
  use: (subscriber: SubscriberHandle<Uint8Array>) => Effect.Effect<A, E, R>,
  options: SubscriberOptions = {}
) => Effect.scoped(Effect.flatMap(Subscriber.open(Orders, { cursor: "billing", ...options }), use))

const position = billing((subscriber) => Effect.sync(() => subscriber.position()))

export const durableCursorsSuite = (backend: Backend): void => {
  interface On {
    readonly disk: NonNullable<BackendOptions["disk"]>
    readonly dirs: ReadonlyArray<string>
  }
  const on = ({ dirs, disk }: On, serve: BackendOptions["serve"] = {}, history: ReadonlyArray<string> = []) =>
    Effect.provide(
      backend.embedded({
        geometry: smallGeometry,
        disk,
        history,
        serve: { replicas: dirs.map((dir) => ({ dir })), ...serve }
      })
    )
  const withDirs = <A, E, R>(use: (on: On) => Effect.Effect<A, E, R>) =>
    Effect.scoped(
      Effect.flatMap(backend.disk, ({ disk, root }) => use({ disk, dirs: [`${root}/first`, `${root}/second`] }))
    )
  /** The files of one topic, while no server has them. */
  const withFiles = <A, E>(disk: On["disk"], dir: string, use: (files: TopicFiles) => Effect.Effect<A, E>) =>
    Effect.scoped(Effect.gen(function*() {
      const files = yield* openReplicaFiles(disk.disk, disk.lock, dir, { logId: undefined })
      return yield* use(yield* files.topic(Orders.name, declared))
    }))

  describe(`named cursors of durable topics (${backend.name})`, () => {
    it.live(
      "a restored log goes on at the last durable commit, term after term",
      () =>
        withDirs((there) =>
          Effect.gen(function*() {
            const [first = "", second = ""] = there.dirs
            yield* Effect.gen(function*() {
              yield* publish(0, 100)
              yield* billing((subscriber) =>
                Effect.gen(function*() {
                  assert.deepStrictEqual(yield* take(subscriber, 40), numbered(0, 40))
                  assert.strictEqual(yield* subscriber.commit({ durable: true }), 40)
                  yield* take(subscriber, 10)
                })
              )
            }).pipe(on(there))
            for (let term = 1; term <= 3; term += 1) {
              yield* Effect.gen(function*() {
                yield* publish(100 * term, 100 * term + 100)
                const from = 40 * term
                yield* billing((subscriber) =>
                  Effect.gen(function*() {
                    assert.strictEqual(subscriber.position(), from)
                    assert.deepStrictEqual(yield* take(subscriber, 40), numbered(from, from + 40))
                    yield* subscriber.commit({ durable: true })
                  })
                )
              }).pipe(on(there, { restore: term === 2 ? second : first }, there.dirs))
            }
          })
        ),
      60_000
    )

    it.live("a durable commit waits for the disks of the required replicas, and for the records below it", () =>
      withDirs(({ disk, dirs: [dir = ""] }) => {
        const faulty = faultyDisk(disk)
        return Effect.gen(function*() {
          yield* publish(0, 20)
          yield* billing((subscriber) =>
            Effect.gen(function*() {
              yield* take(subscriber, 5)
              faulty.fail(dir, "EIO")
              const commit = yield* Effect.forkChild(subscriber.commit({ durable: true }), { startImmediately: true })
              yield* Effect.sleep(300)
              assert.isUndefined(commit.pollUnsafe())
              assert.strictEqual(yield* subscriber.commit(), 5)
              faulty.heal(dir)
              assert.strictEqual(yield* Fiber.join(commit), 5)
            })
          )
        }).pipe(
          Effect.ensuring(Effect.sync(() => faulty.heal(dir))),
          on({ disk: faulty.disk, dirs: [dir] }),
          Effect.andThen(
            withFiles(
              disk,
              dir,
              (files) =>
                Effect.sync(() =>
                  assert.deepStrictEqual(files.cursors().map((one) => [one.name, one.position]), [["billing", 5]])
                )
            )
          )
        )
      }))

    it.live("commits that no process waits for are in the files soon, and when the server ends", () =>
      withDirs(({ disk, dirs: [dir = ""] }) =>
        Effect.gen(function*() {
          yield* publish(0, 20)
          yield* billing((subscriber) => Effect.andThen(take(subscriber, 7), subscriber.commit()))
        }).pipe(
          on({ disk, dirs: [dir] }),
          Effect.andThen(position.pipe(on({ disk, dirs: [dir] }, { restore: dir }, [dir]))),
          Effect.map((found) => assert.strictEqual(found, 7))
        )
      ))

    it.live("of two replicas the one whose cursor is further counts, and none beyond the records", () =>
      withDirs((there) =>
        Effect.gen(function*() {
          const [first = "", second = ""] = there.dirs
          yield* Effect.andThen(
            publish(0, 20),
            billing((subscriber) => Effect.andThen(take(subscriber, 9), subscriber.commit({ durable: true })))
          ).pipe(on(there))
          const set = (dir: string, position: number) =>
            withFiles(there.disk, dir, (files) =>
              files.setCursors([{ name: "billing", position, touchedMillis: Date.now(), expiresMillis: 60_000 }]))
          yield* set(second, 3)
          assert.strictEqual(yield* position.pipe(on(there, { restore: second }, there.dirs)), 9)
          yield* set(first, 900)
          assert.strictEqual(yield* position.pipe(on(there, { restore: first }, there.dirs)), 20)
        })
      ))

    it.live("an expired cursor is not restored", () =>
      withDirs(({ disk, dirs: [dir = ""] }) =>
        Effect.gen(function*() {
          yield* Effect.andThen(
            publish(0, 20),
            billing((subscriber) => Effect.andThen(take(subscriber, 9), subscriber.commit({ durable: true })), {
              cursorExpiry: "100 millis"
            })
          ).pipe(on({ disk, dirs: [dir] }))
          yield* Effect.sleep(200)
          const first = billing((subscriber) =>
            Effect.gen(function*() {
              // Nothing was delivered: there is nothing to commit, wherever the files begin.
              const committed = yield* subscriber.commit()
              return [committed, ...yield* take(subscriber, 1)]
            })
          )
          assert.deepStrictEqual(yield* first.pipe(on({ disk, dirs: [dir] }, { restore: dir }, [dir])), [0, "0 r0"])
        })
      ))

    it.live(
      "what memory has trimmed behind a cursor is read from files",
      () =>
        withDirs(({ disk, dirs: [dir = ""] }) =>
          Effect.gen(function*() {
            yield* publish(0, 20)
            yield* billing((subscriber) => Effect.andThen(take(subscriber, 9), subscriber.commit()))
            for (let round = 1; round < 100; round += 1) yield* publish(20 * round, 20 * round + 20)
            assert.isAbove((yield* Subscriber.bounds(Orders)).start, 9)
            yield* billing((subscriber) =>
              Effect.gen(function*() {
                assert.deepStrictEqual(yield* take(subscriber, 1991), numbered(9, 2000))
                assert.strictEqual(yield* subscriber.commit({ durable: true }), 2000)
              })
            )
          }).pipe(on({ disk, dirs: [dir] }, {}, [dir]))
        ),
      30_000
    )

    it.live("a look that saw a commit ahead of its stamp is told again, with the stamp of a later look", () =>
      withDirs(({ disk, dirs: [dir = ""] }) =>
        Effect.andThen(
          publish(0, 1).pipe(on({ disk, dirs: [dir] })),
          withFiles(disk, dir, (files) =>
            Effect.gen(function*() {
              const told: Array<number> = []
              const store = new CursorStore(files)
              const look = (stamp: number, wantedStamp: number) => {
                const view = {
                  name: "billing",
                  position: 1,
                  holder: undefined,
                  touchedMillis: 1000,
                  expiresMillis: 500
                }
                return { stamp, isDamaged: false, cursors: [{ ...view, wantedStamp, change: "1" }] }
              }
              const stores = (stamp: number, wantedStamp: number) =>
                store.take(look(stamp, wantedStamp), { isLast: false, nowMillis: 1000 })
                  ? store.store(1000, (one) => told.push(one))
                  : Effect.void
              // The replica's clock was read ahead of the committer's, and its look made behind the commit.
              yield* stores(5, 6)
              assert.deepStrictEqual(told, [5])
              assert.isTrue(store.hasWanted(look(7, 6)))
              yield* stores(7, 6)
              assert.deepStrictEqual(told, [5, 7])
              assert.isFalse(store.hasWanted(look(8, 6)))
              yield* stores(8, 6)
              assert.deepStrictEqual(told, [5, 7])
            }))
        )
      ))

    it.live("retention keeps the segments that a cursor needs, until it has expired", () =>
      withDirs(({ disk, dirs: [dir = ""] }) =>
        Effect.gen(function*() {
          yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], (round) => publish(round * 500, round * 500 + 500))
            .pipe(
              on({ disk, dirs: [] }, { replicas: [{ dir, segmentBytes: 4096 }] })
            )
          const view = { name: "billing", position: 2300, holder: undefined, touchedMillis: 1000, expiresMillis: 500 }
          const look = { stamp: 1, isDamaged: false, cursors: [{ ...view, wantedStamp: 0, change: "" }] }
          yield* Effect.scoped(Effect.gen(function*() {
            const options = { logId: undefined, retention: { bytes: 0 } }
            const replica = yield* openReplicaFiles(disk.disk, disk.lock, dir, options)
            const files = yield* replica.topic(Orders.name, declared)
            assert.strictEqual(files.start().position, 0)
            yield* files.retain(1200, CursorStore.needed(look, 1200))
            const kept = files.start().position
            assert.isTrue(kept > 0 && kept <= 2300, `kept from ${kept} on`)
            yield* files.retain(1600, CursorStore.needed(look, 1600))
            assert.isAbove(files.start().position, 2300)
          }))
        })
      ))
  })
}
