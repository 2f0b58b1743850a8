/**
 * Replicas over any backend: they follow the order, sync in groups, tell what is durable, and catch up after failures.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { readReplicaFiles } from "../../../src/layers/files/readReplicaFiles.ts"
import type { ReplicaDisk } from "../../../src/layers/files/replica/ReplicaDisk.ts"
import { Publisher, type PublisherHandle } from "../../../src/services/Publisher.ts"
import { Replica, type ReplicaCondition } from "../../../src/services/Replica.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Sequencer } from "../../../src/services/Sequencer.ts"
import { Subscriber } from "../../../src/services/Subscriber.ts"
import { type Backend, type BackendOptions, bytesOf, Relay, smallGeometry, textOf } from "../../backends/log.ts"
import { type FaultyDisk, faultyDisk } from "../../faults/disks.ts"

const Orders = Topic.make("orders", { ack: "durable" })

const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `record ${from + i}`)

/** The records of a replica's files, from the first. */
const storedRecords = ({ disk }: ReplicaDisk["Service"], dir: string, topic = Orders.name) =>
  Effect.scoped(Effect.gen(function*() {
    const files = yield* readReplicaFiles(disk, dir)
    const stored = files.topics.get(topic)
    if (stored === undefined) return []
    const { start } = yield* stored.bounds
    const reader = yield* stored.read(start.position)
    const records: Array<string> = []
    for (let batches = yield* reader.pull; batches.length > 0; batches = yield* reader.pull) {
      for (const { lengths, messageCount, payload, position, uniformBytes } of batches) {
        assert.strictEqual(position, start.position + records.length)
        for (let i = 0, at = 0; i < messageCount; i += 1) {
          const length = lengths?.[i] ?? uniformBytes
          records.push(textOf(payload.subarray(at, at + length)))
          at += length
        }
      }
    }
    return records
  }))

const stateOf = (dir: string) =>
  Replica.use(({ states }) => Effect.map(states, (all) => all.find((state) => state.dir === dir)!))

/** Waits for a condition, for as long as a loaded machine may take. */
const untilCondition = (dir: string, condition: ReplicaCondition) =>
  Effect.gen(function*() {
    for (;;) {
      const state = yield* stateOf(dir)
      if (state.condition === condition) return state
      yield* Effect.sleep(2)
    }
  }).pipe(
    Effect.timeoutOrElse({
      duration: 30_000,
      orElse: () =>
        Effect.flatMap(stateOf(dir), (state) => Effect.die(`${dir} is not ${condition}: ${JSON.stringify(state)}`))
    })
  )

/** Fails with a sentence where a mechanism that does not work would have the test wait for ever. */
const within = (duration: Duration.Input, sentence: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.timeoutOrElse(effect, { duration, orElse: () => Effect.die(new Error(sentence)) })

/** Changes bytes in the middle of the topic's first segment. */
const damage = ({ disk }: ReplicaDisk["Service"], dir: string) =>
  Effect.scoped(Effect.gen(function*() {
    const [segment = ""] = (yield* disk.list(dir)).toSorted()
    const file = yield* disk.open(`${dir}/${segment}`, "write")
    yield* file.write(Math.floor((yield* file.size) / 2), [new Uint8Array(64).fill(0xff)])
    yield* file.sync
  }))

const sendAll = (publisher: PublisherHandle<Uint8Array>, records: ReadonlyArray<string>) =>
  Effect.andThen(publisher.sendAll(records.map(bytesOf)), publisher.flush)

/** Of two records the first is durable, and the sync of the second stands still. */
const holdSecond = (
  publisher: PublisherHandle<Uint8Array>,
  dir: string,
  { hold, isHeld }: Pick<FaultyDisk, "hold" | "isHeld">
) =>
  Effect.gen(function*() {
    yield* sendAll(publisher, ["first"])
    hold(dir)
    yield* publisher.send(bytesOf("second"))
    while (!isHeld(dir)) yield* Effect.sleep(2)
  })

export const replicasSuite = (backend: Backend): void => {
  interface Disks extends FaultyDisk {
    readonly dirs: ReadonlyArray<string>
  }

  const disks = (count: number): Effect.Effect<Disks, never, Scope.Scope> =>
    Effect.map(backend.disk, ({ disk, root }) => ({
      ...faultyDisk(disk),
      dirs: Array.from({ length: count }, (_, i) => `${root}/replica-${i}`)
    }))

  const served = (
    { dirs, disk }: Disks,
    serve: BackendOptions["serve"] = {},
    used = dirs,
    each: { readonly syncBytes?: number } = {}
  ): BackendOptions => ({
    geometry: smallGeometry,
    disk,
    serve: { topics: [Orders], replicas: used.map((dir) => ({ dir, ...each })), ...serve }
  })

  /** Runs over a log with replicas; what stands still goes on before the log ends. */
  const onDisks = <A, E, R>(
    count: number,
    run: (disks: Disks) => Effect.Effect<A, E, R>,
    serve: BackendOptions["serve"] = {},
    each: { readonly syncBytes?: number } = {}
  ) =>
    Effect.scoped(Effect.gen(function*() {
      const found = yield* disks(count)
      const healAll = Effect.sync(() => found.dirs.forEach(found.heal))
      return yield* run(found).pipe(
        Effect.ensuring(healAll),
        Effect.scoped,
        Effect.provide(backend.embedded(served(found, serve, found.dirs, each)))
      )
    }))

  describe(`replicas (${backend.name})`, () => {
    it.live("what is acknowledged is in the files of every replica, in the order of the log", () =>
      onDisks(2, ({ dirs, disk }) =>
        Effect.gen(function*() {
          const publishers = yield* Effect.all([Publisher.open(Orders), Publisher.open(Orders, { identity: "a" })])
          const sources = [numbered(0, 300), numbered(1000, 1300)]
          yield* Effect.forEach(publishers, (publisher, i) => sendAll(publisher, sources[i]!), {
            concurrency: "unbounded"
          })
          const files = yield* Effect.forEach(dirs, (dir) => storedRecords(disk, dir))
          for (const found of files) {
            assert.strictEqual(found.length, 600)
            assert.deepStrictEqual(found.filter((text) => sources[0]!.includes(text)), sources[0])
            assert.deepStrictEqual(found.filter((text) => sources[1]!.includes(text)), sources[1])
          }
          assert.deepStrictEqual(files[0], files[1])
          for (const dir of dirs) {
            const { topics } = yield* untilCondition(dir, "in sync")
            assert.deepStrictEqual(topics.map(({ syncedRecords, topic }) => [topic, syncedRecords]), [["orders", 600]])
          }
        })))

    it.live("batches are synced in groups: far fewer syncs than batches", () =>
      Effect.scoped(Effect.gen(function*() {
        const found = yield* disks(1)
        const [dir = ""] = found.dirs
        yield* Effect.gen(function*() {
          const publisher = yield* Publisher.open(Orders, { batchBytes: 64 })
          yield* sendAll(publisher, numbered(0, 1000))
          const { topics } = yield* stateOf(dir)
          const batches = topics[0]!.syncedBatches
          assert.isAtLeast(batches, 150)
          assert.isAtMost(found.syncs(dir), batches / 2)
        }).pipe(
          Effect.scoped,
          Effect.provide(backend.embedded(served(found, { replicas: [{ dir, syncInterval: 50 }] })))
        )
      })))

    it.live("E16 nothing is acknowledged, and nothing released, before it is synced", () =>
      onDisks(1, ({ dirs, heal, hold, isHeld }) =>
        Effect.gen(function*() {
          const [dir = ""] = dirs
          const publisher = yield* Publisher.open(Orders)
          yield* holdSecond(publisher, dir, { hold, isHeld })
          const flushing = yield* Effect.forkChild(publisher.flush, { startImmediately: true })
          const subscriber = yield* Subscriber.open(Orders)
          const ordered: Array<number> = []
          while (ordered.length < 2) ordered.push(...(yield* subscriber.pull).map(({ position }) => position))
          const { durable } = yield* Subscriber.bounds(Orders)
          const synced = (yield* stateOf(dir)).topics[0]?.syncedRecords
          assert.deepStrictEqual([publisher.acknowledged(), durable, synced], [1, 1, 1])
          assert.isUndefined(flushing.pollUnsafe())
          heal(dir)
          yield* Fiber.join(flushing)
          assert.deepStrictEqual([publisher.acknowledged(), (yield* Subscriber.bounds(Orders)).durable], [2, 2])
        })))

    it.live("E16 a disk that hangs stops what is durable, and no other topic, and no deadline advances it", () =>
      onDisks(2, ({ dirs, disk, heal, hold, isHeld }) =>
        Effect.gen(function*() {
          const [, dir = ""] = dirs
          const others = yield* Publisher.open(Topic.make("others"))
          const publisher = yield* Publisher.open(Orders, { ackDeadline: 100 })
          const acknowledgedAt = (count: number) =>
            publisher.awaitAcknowledged(count).pipe(Effect.retry({ times: 200 }))
          yield* publisher.send(bytesOf("first"))
          yield* acknowledgedAt(1)
          hold(dir)
          yield* publisher.send(bytesOf("second"))
          while (!isHeld(dir)) yield* Effect.sleep(2)
          for (let round = 0; round < 5; round += 1) {
            yield* sendAll(others, numbered(round * 10, round * 10 + 10))
            const late = yield* Effect.flip(publisher.flush)
            assert.strictEqual(late._tag, "AckTimeout")
            assert.match(late.message, /replica ".*replica-1" \(pid \d+\) is 1 batch behind/)
            assert.strictEqual(publisher.acknowledged(), 1)
            const { durable, end } = yield* Subscriber.bounds(Orders)
            assert.deepStrictEqual([durable, end], [1, 2])
          }
          heal(dir)
          yield* acknowledgedAt(2)
          for (const each of dirs) assert.deepStrictEqual(yield* storedRecords(disk, each), ["first", "second"])
        })))

    it.live("while a group is synced the next one is copied and written, and none of it is durable", () =>
      onDisks(
        1,
        ({ dirs, disk, heal, hold, isHeld, writes }) =>
          Effect.gen(function*() {
            const [dir = ""] = dirs
            const publisher = yield* Publisher.open(Orders)
            yield* sendAll(publisher, ["first"])
            hold(dir)
            yield* publisher.send(bytesOf("second"))
            while (!isHeld(dir)) yield* Effect.sleep(2)
            const before = writes(dir)
            yield* publisher.sendAll(numbered(0, 40).map(bytesOf))
            while (writes(dir) === before) yield* Effect.sleep(2)
            const { durable } = yield* Subscriber.bounds(Orders)
            assert.deepStrictEqual([publisher.acknowledged(), durable], [1, 1])
            heal(dir)
            yield* publisher.flush
            assert.strictEqual((yield* storedRecords(disk, dir)).length, 42)
          }),
        {},
        { syncBytes: 128 }
      ))

    it.live("a server that is started again goes on where the files end", () =>
      Effect.scoped(Effect.gen(function*() {
        const found = yield* disks(2)
        yield* Effect.gen(function*() {
          const publisher = yield* Publisher.open(Orders)
          for (let round = 0; round < 4; round += 1) {
            yield* sendAll(publisher, numbered(round * 50, round * 50 + 50))
            const { end, start } = yield* Relay
            yield* end
            yield* publisher.sendAll(numbered(1000 + round * 5, 1000 + round * 5 + 5).map(bytesOf))
            yield* start
          }
          yield* publisher.flush
          const [first, second] = yield* Effect.forEach(found.dirs, (dir) => storedRecords(found.disk, dir))
          const wanted = [0, 1, 2, 3].flatMap((round) => [
            ...numbered(round * 50, round * 50 + 50),
            ...numbered(1000 + round * 5, 1000 + round * 5 + 5)
          ])
          assert.deepStrictEqual(first, wanted)
          assert.deepStrictEqual(second, wanted)
        }).pipe(Effect.scoped, Effect.provide(backend.relay(served(found))))
      })), 60_000)

    for (const code of ["EIO", "ENOSPC"]) {
      it.live(
        `E16 a disk that fails is named, stops acknowledgements alone, and is caught up (${code})`,
        () =>
          onDisks(2, ({ dirs, disk, fail, heal }) =>
            Effect.gen(function*() {
              const [, dir = ""] = dirs
              const others = yield* Publisher.open(Topic.make("others"))
              const publisher = yield* Publisher.open(Orders, { ackDeadline: 300 })
              const acknowledged = (count: number) =>
                publisher.awaitAcknowledged(count).pipe(Effect.retry({ times: 200 }))
              yield* publisher.sendAll(numbered(0, 10).map(bytesOf))
              yield* acknowledged(10)
              fail(dir, code)
              yield* publisher.sendAll(numbered(10, 20).map(bytesOf))
              const late = yield* Effect.flip(publisher.flush)
              assert.strictEqual(late._tag, "AckTimeout")
              assert.include(late.message, "replica")
              const { detail } = yield* untilCondition(dir, "failing")
              assert.include(detail, code)
              assert.strictEqual(publisher.acknowledged(), 10)
              yield* sendAll(others, numbered(0, 10))
              heal(dir)
              yield* untilCondition(dir, "in sync")
              yield* acknowledged(20)
              for (const each of dirs) assert.deepStrictEqual(yield* storedRecords(disk, each), numbered(0, 20))
            })),
        60_000
      )
    }

    it.live(
      "of two replicas the one that holds up publishers is detached, and catches up from the other's files",
      () =>
        onDisks(2, ({ dirs, disk, heal, hold }) =>
          Effect.gen(function*() {
            const [first = "", second = ""] = dirs
            const publisher = yield* Publisher.open(Orders)
            yield* sendAll(publisher, numbered(0, 10))
            hold(second)
            // Many times what memory has.
            yield* sendAll(publisher, numbered(10, 30_000)).pipe(
              within("20 seconds", "publishers wait for the replica that stands still: it was not detached")
            )
            yield* untilCondition(first, "in sync")
            heal(second)
            yield* untilCondition(second, "in sync")
            yield* sendAll(publisher, numbered(30_000, 30_010))
            for (const each of dirs) {
              yield* Effect.gen(function*() {
                while ((yield* stateOf(each)).topics[0]?.syncedRecords !== 30_010) yield* Effect.sleep(2)
              }).pipe(Effect.timeout(30_000))
              assert.deepStrictEqual(yield* storedRecords(disk, each), numbered(0, 30_010))
            }
          }), { durableCopies: 1, stallAfter: 50 }),
      120_000
    )

    it.live(
      "a replica that holds up publishers is detached too if another one is ahead of it only later",
      () =>
        onDisks(2, ({ dirs, heal, hold }) =>
          Effect.gen(function*() {
            const { events } = yield* Sequencer
            const stalled = yield* Effect.forkChild(
              Stream.runHead(Stream.filter(events, (event) => event._tag === "ReaderStalled")),
              { startImmediately: true }
            )
            const publisher = yield* Publisher.open(Orders)
            yield* sendAll(publisher, numbered(0, 10))
            dirs.forEach(hold)
            // Many times what memory has.
            const sending = yield* Effect.forkChild(sendAll(publisher, numbered(10, 30_000)))
            const { reader } = Option.getOrThrow(yield* Fiber.join(stalled))
            const states = yield* Effect.flatMap(Replica, (replica) => replica.states)
            for (const { dir, name } of states) if (name !== reader) heal(dir)
            yield* Fiber.join(sending)
          }), { durableCopies: 1, stallAfter: 50 }),
      60_000
    )

    it.live("an empty directory takes all that the other replica has", () =>
      Effect.scoped(Effect.gen(function*() {
        const found = yield* disks(2)
        const [first = "", second = ""] = found.dirs
        const log = (used: ReadonlyArray<string>) => served(found, {}, used)
        // One log, served first with one replica and then with two.
        const options = log([first])
        const replicas: Array<{ readonly dir: string }> = [{ dir: first }]
        yield* Effect.gen(function*() {
          const publisher = yield* Publisher.open(Orders)
          yield* sendAll(publisher, numbered(0, 5000))
          const { end, start } = yield* Relay
          yield* end
          replicas.push({ dir: second })
          yield* start
          yield* sendAll(publisher, numbered(5000, 5010))
          if (backend.name === "memory") return
          for (const dir of found.dirs) {
            assert.deepStrictEqual(yield* storedRecords(found.disk, dir), numbered(0, 5010))
          }
        }).pipe(
          Effect.scoped,
          Effect.provide(backend.relay({ ...options, serve: { ...options.serve, replicas } }))
        )
      })), 60_000)

    it.live("files that are damaged are repaired from the other replica", () =>
      Effect.scoped(Effect.gen(function*() {
        const found = yield* disks(2)
        const [first = ""] = found.dirs
        yield* Effect.gen(function*() {
          const publisher = yield* Publisher.open(Orders)
          for (let i = 0; i < 10; i += 1) yield* sendAll(publisher, numbered(i * 10, i * 10 + 10))
          const { end, start } = yield* Relay
          yield* end
          yield* damage(found.disk, `${first}/topics/${Orders.name}`)
          yield* start
          yield* sendAll(publisher, numbered(100, 110)).pipe(
            within("20 seconds", "nothing is durable any more: the damaged files were not repaired")
          )
          for (const dir of found.dirs) {
            assert.deepStrictEqual(yield* storedRecords(found.disk, dir), numbered(0, 110))
          }
        }).pipe(Effect.scoped, Effect.provide(backend.relay(served(found))))
      })), 60_000)

    it.live("a directory of another log is refused", () =>
      Effect.scoped(Effect.gen(function*() {
        const found = yield* disks(1)
        const use = Effect.gen(function*() {
          yield* sendAll(yield* Publisher.open(Orders), numbered(0, 10))
        }).pipe(Effect.scoped, Effect.provide(backend.embedded(served(found))))
        yield* use
        const refused = yield* Effect.flip(use)
        assert.strictEqual(refused._tag, "RegionError")
        assert.include(refused.message, `${found.dirs[0]} holds a replica of log`)
        assert.deepStrictEqual(yield* storedRecords(found.disk, found.dirs[0]!), numbered(0, 10))
      })))

    it.live("impossible options are refused, by name", () =>
      Effect.scoped(Effect.gen(function*() {
        const found = yield* disks(1)
        const [dir = ""] = found.dirs
        for (
          const serve of [
            { replicas: [{ dir }], durableCopies: 256 },
            { replicas: [], durableCopies: 0 },
            { replicas: [{ dir }, { dir }] },
            // One directory is one copy, however its path is written.
            { replicas: [{ dir }, { dir: `${dir}/../${dir.slice(dir.lastIndexOf("/") + 1)}/` }] },
            { replicas: [{ dir: "" }] },
            { replicas: [{ dir, syncBytes: 0 }] }
          ]
        ) {
          const refused = yield* Effect.flip(
            Effect.provide(Effect.void, backend.embedded(served(found, serve)))
          )
          assert.strictEqual(refused._tag === "RegionError" && refused.fault, "invalid")
        }
      })))
  })
}
