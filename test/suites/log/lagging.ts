/**
 * Subscribers over any backend that do not keep memory: lapped with a gap, or going on in the files of a replica.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { readReplicaFiles } from "../../../src/layers/files/readReplicaFiles.ts"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import { Publisher } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import {
  type Gap,
  HistoryUnreadable,
  type IndexedBatch,
  type Record,
  Subscriber,
  type SubscriberHandle,
  type SubscriberOptions
} from "../../../src/services/Subscriber.ts"
import { type Backend, bytesOf, Relay, smallGeometry, textOf } from "../../backends/log.ts"
import { faultyDisk } from "../../faults/disks.ts"
import { overOneReplica } from "./history.ts"

const Ticks = Topic.make("ticks")
const Orders = Topic.make("orders", { ack: "durable" })

/** More than memory holds, by several laps. */
const lap = 40_000

const publish = (topic: Topic.Topic<Uint8Array>, from: number, to: number) =>
  Effect.scoped(Effect.gen(function*() {
    const publisher = yield* Publisher.open(topic, { roomDeadline: "20 seconds" })
    yield* publisher.sendAll(Array.from({ length: to - from }, (_, i) => bytesOf(`record ${from + i}`)))
    yield* publisher.flush
  }))

/** Waits until memory has dropped that position, or nothing more comes. */
const untilPassed = (position: number, publishing: Fiber.Fiber<unknown, unknown>) =>
  Effect.gen(function*() {
    while (publishing.pollUnsafe() === undefined) {
      if ((yield* Subscriber.bounds(Ticks)).start > position) return
      yield* Effect.sleep(1)
    }
  })

/** What a reader got, checked: each record is the one of its position, and each jump is told by a gap. */
class Followed {
  next: number
  readonly gaps: Array<Gap> = []

  constructor(from: number) {
    this.next = from
  }

  record({ gap, position, value }: Record<Uint8Array>): void {
    if (gap === undefined) assert.strictEqual(position, this.next)
    else this.gap(gap, position)
    assert.strictEqual(textOf(value), `record ${position}`)
    this.next = position + 1
  }

  batch({ gap, lengths, messageCount, payload, position, uniformBytes }: IndexedBatch): void {
    if (gap === undefined) assert.strictEqual(position, this.next)
    else this.gap(gap, position)
    for (let i = 0, at = 0; i < messageCount; i += 1) {
      const bytes = lengths?.[i] ?? uniformBytes
      assert.strictEqual(textOf(payload.subarray(at, at + bytes)), `record ${position + i}`)
      at += bytes
    }
    this.next = position + messageCount
  }

  gap(gap: Gap, position: number): void {
    assert.deepStrictEqual(gap, { from: this.next, to: position })
    assert.isAbove(gap.to, gap.from)
    this.gaps.push(gap)
  }

  get missed(): { readonly count: number; readonly records: number } {
    return { count: this.gaps.length, records: this.gaps.reduce((sum, { from, to }) => sum + to - from, 0) }
  }
}

type Reading = (subscriber: SubscriberHandle<Uint8Array>, followed: Followed) => Effect.Effect<void, unknown>

/** Each reads to the end, and behind that what is told as missing. */
const readings: { readonly [name: string]: Reading } = {
  pull: (subscriber, followed) =>
    Effect.gen(function*() {
      for (;;) {
        const batches = yield* subscriber.pull
        if (batches.length === 0) return
        for (const batch of batches) followed.batch(batch)
      }
    }),
  batches: ({ batches }, followed) => Stream.runForEach(batches, (batch) => Effect.sync(() => followed.batch(batch))),
  records: ({ records }, followed) => Stream.runForEach(records, (one) => Effect.sync(() => followed.record(one))),
  recordBatches: ({ recordBatches }, followed) =>
    Stream.runForEach(recordBatches, (all) => Effect.sync(() => all.forEach((one) => followed.record(one))))
}

export const laggingSuite = (backend: Backend): void => {
  const open = (topic: Topic.Topic<Uint8Array>, options: SubscriberOptions) => Subscriber.open(topic, options)

  const inMemory = <A, E, R>(run: Effect.Effect<A, E, R>) =>
    run.pipe(Effect.scoped, Effect.provide(backend.embedded({ geometry: smallGeometry })))

  const withHistory = overOneReplica(backend)

  describe(`subscribers that may be lapped (${backend.name})`, () => {
    for (const [name, read] of Object.entries(readings)) {
      it.live(
        `one that stands still holds up no publisher, and is told its gap (${name})`,
        () =>
          inMemory(Effect.gen(function*() {
            const subscriber = yield* open(Ticks, { from: "start", lag: "lapped", untilEnd: true })
            const followed = new Followed(0)
            yield* publish(Ticks, 0, 100)
            yield* read(subscriber, followed)
            assert.deepStrictEqual([followed.next, followed.gaps.length], [100, 0])
            for (const end of [lap, 2 * lap, 3 * lap]) {
              yield* publish(Ticks, followed.next, end)
              const { start } = yield* Subscriber.bounds(Ticks)
              assert.isAbove(start, followed.next)
              yield* read(subscriber, followed)
              assert.strictEqual(followed.next, end)
              // It goes on at the first record that is there; the sequencer may trim a little on meanwhile.
              assert.isAtLeast(followed.gaps.at(-1)?.to ?? 0, start)
              assert.isBelow(followed.gaps.at(-1)?.to ?? end, end - 100)
            }
            assert.strictEqual(followed.gaps.length, 3)
            assert.deepStrictEqual(subscriber.gaps(), followed.missed)
          })),
        60_000
      )
    }

    it.live(
      "beside a publisher that does not stop every record is whole, or in a gap",
      () =>
        inMemory(Effect.gen(function*() {
          const subscriber = yield* open(Ticks, { from: "start", lag: "lapped" })
          const followed = new Followed(0)
          const publishing = yield* Effect.forkChild(publish(Ticks, 0, 5 * lap), { startImmediately: true })
          for (let pulls = 0; followed.next < 5 * lap; pulls += 1) {
            for (const batch of yield* subscriber.pull) followed.batch(batch)
            if (pulls % 10 === 0) yield* untilPassed(followed.next, publishing)
          }
          yield* Fiber.join(publishing)
          assert.isAtLeast(followed.gaps.length, 3)
          assert.deepStrictEqual(subscriber.gaps(), followed.missed)
        })),
      60_000
    )

    it.live("what it was lent stays as it is until its next read", () =>
      inMemory(Effect.gen(function*() {
        const subscriber = yield* open(Ticks, { from: "start", lag: "lapped" })
        yield* publish(Ticks, 0, 100)
        const lent = yield* subscriber.pull
        yield* publish(Ticks, 100, lap)
        assert.isAbove((yield* Subscriber.bounds(Ticks)).start, 100)
        const followed = new Followed(0)
        for (const batch of lent) followed.batch(batch)
        assert.strictEqual(followed.next, 100)
      })))

    it.live("a position that is trimmed already begins with a gap, of a cursor too", () =>
      inMemory(Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const subscriber = yield* open(Ticks, { cursor: "billing", lag: "lapped" })
          yield* publish(Ticks, 0, 50)
          for (let read = 0; read < 50; read = subscriber.position()) yield* subscriber.pull
          assert.strictEqual(yield* subscriber.commit(), 50)
        }))
        yield* publish(Ticks, 50, lap)
        const { start } = yield* Subscriber.bounds(Ticks)
        for (
          const [options, from] of [[{ from: { position: 7 } }, 7], [
            { cursor: "billing" },
            50
          ]] satisfies ReadonlyArray<
            [SubscriberOptions, number]
          >
        ) {
          const refused = yield* Effect.flip(open(Ticks, options))
          assert.strictEqual(refused._tag, "PositionTrimmed")
          const [first] = yield* (yield* open(Ticks, { ...options, lag: "lapped" })).pull
          assert.deepStrictEqual(first?.gap, { from, to: first?.position ?? 0 })
          assert.isAtLeast(first?.position ?? 0, start)
        }
        // Within a batch, and at the end, nothing is missing.
        const within = yield* open(Ticks, { from: { position: lap - 3 }, lag: "lapped" })
        const [rest] = yield* within.pull
        assert.deepStrictEqual([rest?.position, rest?.gap], [lap - 3, undefined])
        const end = yield* open(Ticks, { from: "end", lag: "lapped", untilEnd: true })
        assert.deepStrictEqual(yield* end.pull, [])
        assert.deepStrictEqual(end.gaps(), { count: 0, records: 0 })
      })))

    it.live("a record that does not match is skipped, and its gap told with the next", () =>
      inMemory(Effect.gen(function*() {
        const subscriber = yield* open(Ticks, { from: "start", lag: "lapped" })
        yield* publish(Ticks, 0, lap)
        assert.isTrue(subscriber.skip())
        const position = subscriber.position()
        const [first] = yield* Stream.runCollect(Stream.take(subscriber.records, 1))
        assert.deepStrictEqual([first?.position, first?.gap], [position, { from: 0, to: position - 1 }])
        const [second] = yield* Stream.runCollect(Stream.take(subscriber.records, 1))
        assert.deepStrictEqual([second?.position, second?.gap], [position + 1, undefined])
      })))

    it.live("beside one that gates it misses nothing, and publishers wait for that one alone", () =>
      inMemory(Effect.gen(function*() {
        const monitor = yield* open(Ticks, { from: "start", lag: "lapped", name: "monitor", untilEnd: true })
        const gate = yield* Scope.make()
        yield* Scope.provide(open(Ticks, { from: "start", name: "gate" }), gate)
        const full = yield* Effect.scoped(Effect.gen(function*() {
          const publisher = yield* Publisher.open(Ticks, { roomDeadline: "20 millis" })
          const sends = Array.from({ length: lap }, (_, i) => bytesOf(`record ${i}`))
          const error = yield* Effect.flip(publisher.sendAll(sends))
          assert.isTrue(error._tag === "Backpressure")
          assert.include(error.message, `"gate"`)
          assert.notInclude(error.message, "monitor")
          return publisher.accepted()
        }))
        const followed = new Followed(0)
        yield* readings["records"]!(monitor, followed)
        assert.deepStrictEqual([followed.next, followed.gaps], [full, []])
        yield* Scope.close(gate, Exit.void)
        yield* publish(Ticks, full, full + lap)
        yield* readings["records"]!(monitor, followed)
        assert.deepStrictEqual([followed.next, followed.gaps.length], [full + lap, 1])
      })))

    it.live("begun in the midst of a batch its first gap begins there", () =>
      inMemory(Effect.gen(function*() {
        yield* publish(Ticks, 0, 100)
        const subscriber = yield* open(Ticks, { from: { position: 33 }, lag: "lapped" })
        yield* publish(Ticks, 100, lap)
        const [first] = yield* subscriber.pull
        assert.deepStrictEqual(first?.gap, { from: 33, to: first?.position ?? 0 })
      })))

    it.live("gaps with nothing but skipped records between are told as one, and counted each", () =>
      inMemory(Effect.gen(function*() {
        const subscriber = yield* open(Ticks, { from: "start", lag: "lapped", untilEnd: true })
        yield* publish(Ticks, 0, lap)
        while (subscriber.skip());
        assert.strictEqual(subscriber.position(), lap)
        const { records } = subscriber.gaps()
        yield* publish(Ticks, lap, 2 * lap)
        const [first] = yield* subscriber.pull
        const to = first?.position ?? 0
        assert.deepStrictEqual(first?.gap, { from: 0, to })
        assert.deepStrictEqual(subscriber.gaps(), { count: 2, records: records + to - lap })
      })))

    it.live("diagnostics tell how far it is, and that it does not gate; awaitReaders counts those that do", () =>
      inMemory(Effect.gen(function*() {
        const { snapshot } = yield* Diagnostics
        const readers = Effect.map(snapshot, ({ topics }) => topics.find(({ name }) => name === "ticks")?.readers ?? [])
        const subscriber = yield* open(Ticks, { from: "start", lag: "lapped", name: "monitor" })
        yield* publish(Ticks, 0, 100)
        yield* subscriber.pull
        const [before] = yield* readers
        assert.deepStrictEqual([before?.name, before?.gates], ["monitor", false])
        yield* publish(Ticks, 100, lap)
        const [after] = yield* readers
        assert.isAbove(after?.behindBatches ?? 0, 20)
        assert.isAbove(after?.behindRecords ?? 0, 1000)
        const publisher = yield* Publisher.open(Ticks)
        assert.strictEqual(publisher.readers().length, 1)
        const waiting = yield* Effect.forkChild(publisher.awaitReaders(1), { startImmediately: true })
        yield* Effect.sleep(20)
        assert.isUndefined(waiting.pollUnsafe())
        yield* open(Ticks, { from: "end", name: "gate" })
        yield* Fiber.join(waiting)
        assert.deepStrictEqual((yield* readers).map(({ gates }) => gates), [false, true])
      })))

    it.live("what cannot be promised is refused", () =>
      inMemory(Effect.gen(function*() {
        const told = (topic: Topic.Topic<Uint8Array>, lag: any) =>
          Effect.map(Effect.flip(open(topic, { lag })), (error) => `${error._tag}: ${error.message}`)
        const none = Topic.make("heap", { order: "none", ack: "none" })
        assert.match(yield* told(none, "lapped"), /^RegionError: .*lag cannot be "lapped" .it must be "gate"/)
        assert.match(yield* told(none, "history"), /^RegionError: .*order "none"/)
        assert.match(
          yield* told(Ticks, "history"),
          /^RegionError: .*"gate" or "lapped": topic "ticks" has ack "ordered"/
        )
        assert.match(yield* told(Ticks, "slow"), /^RegionError: .*it must be "gate", "lapped" or "history"/)
        assert.match(yield* told(Orders, "history"), /^HistoryUnreadable: .*no directory of a replica was given/)
      })))

    it.live("over servers that end it misses nothing but its gaps", () =>
      Effect.gen(function*() {
        const { end, start } = yield* Relay
        const subscriber = yield* open(Ticks, { from: "start", lag: "lapped" })
        const followed = new Followed(0)
        const publishing = yield* Effect.forkChild(publish(Ticks, 0, 3 * lap), { startImmediately: true })
        for (let pulls = 1; followed.next < 3 * lap; pulls += 1) {
          for (const batch of yield* subscriber.pull) followed.batch(batch)
          if (pulls % 40 !== 0) continue
          yield* end
          yield* Effect.sleep(1)
          yield* start
        }
        yield* Fiber.join(publishing)
        // What each of these servers gives on, no word of the one before it says.
        for (let laps = 4; laps <= 6; laps += 1) {
          yield* end
          yield* start
          yield* publish(Ticks, followed.next, laps * lap)
          assert.isAbove((yield* Subscriber.bounds(Ticks)).start, followed.next)
          const told = followed.gaps.length
          while (followed.next < laps * lap) for (const batch of yield* subscriber.pull) followed.batch(batch)
          assert.strictEqual(followed.gaps.length, told + 1)
        }
        assert.deepStrictEqual(subscriber.gaps(), followed.missed)
      }).pipe(Effect.scoped, Effect.provide(backend.relay({ geometry: smallGeometry }))), 60_000)
  })

  describe(`subscribers that go on in files (${backend.name})`, () => {
    for (const isolation of ["ordered", "durable"] as const) {
      it.live(
        `overtaken several times, one misses nothing and holds up no publisher (${isolation})`,
        () =>
          withHistory(Effect.gen(function*() {
            const subscriber = yield* open(Orders, { from: "start", lag: "history", isolation })
            const followed = new Followed(0)
            for (let end = lap; end <= 3 * lap; end += lap) {
              yield* publish(Orders, end - lap, end)
              assert.isAbove((yield* Subscriber.bounds(Orders)).start, followed.next)
              // Now and then it stays in memory for a while.
              const stop = end === 3 * lap ? end : end - 100
              while (followed.next < stop) for (const batch of yield* subscriber.pull) followed.batch(batch)
            }
            assert.deepStrictEqual([followed.next, followed.gaps], [3 * lap, []])
            assert.deepStrictEqual(subscriber.gaps(), { count: 0, records: 0 })
          })),
        140_000
      )
    }

    for (const lag of ["lapped", "history"] as const) {
      it.live(
        `with durable isolation one sees only what the replica has, in memory and behind a gap (${lag})`,
        () =>
          Effect.scoped(Effect.gen(function*() {
            const { disk, root } = yield* backend.disk
            const [dir, slow] = [`${root}/replica`, `${root}/slow`]
            const faulty = faultyDisk(disk)
            yield* Effect.gen(function*() {
              const publisher = yield* Publisher.open(Orders, { roomDeadline: "20 seconds" })
              const send = (from: number, to: number) =>
                publisher.sendAll(Array.from({ length: to - from }, (_, i) => bytesOf(`record ${from + i}`)))
              const subscriber = yield* open(Orders, { from: "start", lag, isolation: "durable" })
              const followed = new Followed(0)
              const readTo = (end: number) =>
                Effect.gen(function*() {
                  while (followed.next < end) for (const batch of yield* subscriber.pull) followed.batch(batch)
                })
              // One of the two that are required stands still: what the other one has is not durable.
              const withheld = (end: number) =>
                Effect.gen(function*() {
                  const durable = followed.next
                  const reading = yield* Effect.forkChild(readTo(end), { startImmediately: true })
                  publisher.seal()
                  while ((yield* Subscriber.bounds(Orders)).end < end) yield* Effect.sleep(1)
                  yield* Effect.sleep(50)
                  assert.strictEqual(followed.next, durable)
                  assert.isAtMost(publisher.acknowledged(), durable)
                  faulty.heal(slow)
                  yield* Fiber.join(reading)
                })
              yield* send(0, 100)
              yield* publisher.flush
              yield* readTo(100)
              faulty.hold(slow)
              yield* send(100, 200)
              yield* withheld(200)
              // The same of one that was passed: the first replica's files have it all, and memory drops it.
              faulty.hold(slow)
              yield* send(200, lap)
              assert.isAbove((yield* Subscriber.bounds(Orders)).start, 200)
              yield* withheld(lap)
              assert.strictEqual(followed.gaps.length, lag === "lapped" ? 1 : 0)
              faulty.hold(slow)
              yield* send(lap, lap + 100)
              yield* withheld(lap + 100)
            }).pipe(
              Effect.ensuring(Effect.sync(() => faulty.heal(slow))),
              Effect.scoped,
              Effect.provide(backend.embedded({
                geometry: smallGeometry,
                disk: faulty.disk,
                history: [dir],
                serve: { topics: [Orders], replicas: [{ dir }, { dir: slow }], stallAfter: 50 }
              }))
            )
          })),
        60_000
      )
    }

    it.live("beside a publisher that does not stop, and with pauses", () =>
      withHistory(Effect.gen(function*() {
        const subscriber = yield* open(Orders, { from: "start", lag: "history" })
        const followed = new Followed(0)
        const publishing = yield* Effect.forkChild(publish(Orders, 0, 2 * lap), { startImmediately: true })
        for (let pulls = 0; followed.next < 2 * lap; pulls += 1) {
          for (const batch of yield* subscriber.pull) followed.batch(batch)
          if (pulls % 20 === 0) yield* Effect.sleep(10)
        }
        yield* Fiber.join(publishing)
        assert.deepStrictEqual(followed.gaps, [])
      })), 140_000)

    it.live(
      "it keeps its place while it reads files, and reports how far it has come",
      () =>
        withHistory(Effect.gen(function*() {
          const { snapshot } = yield* Diagnostics
          const reader = Effect.map(
            snapshot,
            ({ topics }) => topics.find(({ name }) => name === "orders")?.readers.find(({ name }) => name === "late")
          )
          const subscriber = yield* open(Orders, { from: "start", lag: "history", name: "late" })
          yield* publish(Orders, 0, lap)
          const followed = new Followed(0)
          const passed = (yield* reader)?.behindBatches ?? 0
          let behind = passed
          while (followed.next < 10_000) {
            for (const batch of yield* subscriber.pull) followed.batch(batch)
            const now = (yield* reader)?.behindBatches ?? 0
            assert.isAtMost(now, behind)
            behind = now
          }
          // Memory does not have these: it was told of what was read in files.
          assert.isAbove((yield* Subscriber.bounds(Orders)).start, followed.next)
          assert.isAtMost(behind, passed - 10)
          assert.isFalse((yield* reader)?.gates)
        })),
      60_000
    )

    it.live(
      "a position and a cursor that are trimmed already are read from files",
      () =>
        withHistory(Effect.gen(function*() {
          const scope = yield* Scope.make()
          yield* publish(Orders, 0, 100)
          const first = yield* Scope.provide(open(Orders, { cursor: "audit", lag: "history" }), scope)
          while (first.position() < 100) yield* first.pull
          yield* first.commit({ position: 60 })
          yield* Scope.close(scope, Exit.void)
          yield* publish(Orders, 100, lap)
          assert.isAbove((yield* Subscriber.bounds(Orders)).start, 100)
          for (
            const [options, from] of [[{ from: { position: 33 } }, 33], [
              { cursor: "audit" },
              60
            ]] satisfies ReadonlyArray<
              [SubscriberOptions, number]
            >
          ) {
            const subscriber = yield* open(Orders, { ...options, lag: "history", untilEnd: true })
            const followed = new Followed(from)
            yield* Stream.runForEach(subscriber.records, (one) => Effect.sync(() => followed.record(one)))
            assert.deepStrictEqual([followed.next, followed.gaps], [lap, []])
          }
        })),
      60_000
    )

    it.live(
      "files of a replica that stands still are behind memory: it waits for them, and misses nothing",
      () =>
        Effect.scoped(Effect.gen(function*() {
          const { disk, root } = yield* backend.disk
          const [dir, slow] = [`${root}/replica`, `${root}/slow`]
          const faulty = faultyDisk(disk)
          yield* Effect.gen(function*() {
            const subscriber = yield* open(Orders, { from: "start", lag: "history" })
            yield* publish(Orders, 0, 100)
            const followed = new Followed(0)
            while (followed.next < 100) for (const batch of yield* subscriber.pull) followed.batch(batch)
            faulty.hold(slow)
            yield* publish(Orders, 100, 3 * lap)
            assert.isAbove((yield* Subscriber.bounds(Orders)).start, 2 * lap)
            const reading = yield* Effect.forkChild(
              Effect.gen(function*() {
                while (followed.next < 3 * lap) for (const batch of yield* subscriber.pull) followed.batch(batch)
              }),
              { startImmediately: true }
            )
            yield* Effect.sleep(100)
            assert.isBelow(followed.next, 2 * lap)
            faulty.heal(slow)
            yield* Fiber.join(reading)
            assert.deepStrictEqual([followed.next, followed.gaps], [3 * lap, []])
          }).pipe(
            Effect.ensuring(Effect.sync(() => faulty.heal(slow))),
            Effect.scoped,
            Effect.provide(backend.embedded({
              geometry: smallGeometry,
              disk: faulty.disk,
              history: [slow],
              serve: { replicas: [{ dir }, { dir: slow }], durableCopies: 1, stallAfter: 50 }
            }))
          )
        })),
      60_000
    )

    it.live(
      "what the files no longer have ends it, behind all records before",
      () =>
        Effect.scoped(Effect.gen(function*() {
          const { disk, root } = yield* backend.disk
          const dir = `${root}/replica`
          const replica = { dir, segmentBytes: 16 * 1024, retention: { bytes: 64 * 1024 } }
          yield* Effect.gen(function*() {
            const subscriber = yield* open(Orders, { from: "start", lag: "history", untilEnd: true })
            yield* publish(Orders, 0, 100)
            const followed = new Followed(0)
            while (followed.next < 100) for (const batch of yield* subscriber.pull) followed.batch(batch)
            yield* publish(Orders, 100, 3 * lap)
            // Replicas look every five seconds at what they need not keep.
            const start = Effect.scoped(Effect.gen(function*() {
              const { topics } = yield* readReplicaFiles(disk.disk, dir)
              return (yield* topics.get("orders")!.bounds).start.position
            }))
            while ((yield* start) <= 100) yield* Effect.sleep(50)
            const error = yield* Effect.flip(readings["records"]!(subscriber, followed))
            assert.instanceOf(error, HistoryUnreadable)
            assert.strictEqual(followed.next, 100)
            assert.match(
              error.message,
              /records from 100 on cannot be read from files: the oldest record in the files is [\d,]+/
            )
          }).pipe(
            Effect.scoped,
            Effect.provide(
              backend.embedded({ geometry: smallGeometry, disk, history: [dir], serve: { replicas: [replica] } })
            )
          )
        })),
      60_000
    )
  })
}
