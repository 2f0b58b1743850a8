/**
 * Leases in the heap, also under the test's clock.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Log from "../../src/layers/Log.ts"
import { HeapLog } from "../../src/layers/memory/log/HeapLog.ts"
import { makeLanePort } from "../../src/layers/memory/log/LanePort.ts"
import { layerWithPorts } from "../../src/layers/memory/log/layer.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import { Sequencer } from "../../src/services/Sequencer.ts"
import { openLanes } from "../backends/lanes.ts"
import { bytesOf } from "../backends/log.ts"
import { memory } from "../backends/memory/log.ts"
import { attach, consume, Held, publish, tight, Total, write } from "../backends/memory/ports.ts"
import { leasesSuite } from "../suites/log/leases.ts"

leasesSuite(memory)

const Running = layerWithPorts({ geometry: tight })
const openNow = (topic = Held) => Effect.flatMap(HeapLog, (log) => openLanes(log, topic))

const Lossy = layerWithPorts({ lease: "50 millis", serverDeadline: "200 millis" })

/** Advances the clock in steps in which the sequencer gets its turns. */
const pass = (seconds: number) =>
  Effect.gen(function*() {
    for (let i = 0; i < seconds; i += 1) yield* TestClock.adjust("1 second")
  })

describe("leases in the heap", () => {
  it.effect("a gap ends its session after the lease, and not before; what is committed stays", () =>
    Effect.gen(function*() {
      const lanes = yield* openNow()
      const other = yield* openNow()
      publish(lanes, 0, 0)
      publish(lanes, 1, 2)
      write(lanes, 0, 1)
      publish(other, 0, 0)
      yield* pass(29)
      assert.strictEqual(lanes.ended(), undefined)
      yield* pass(2)
      assert.strictEqual(lanes.ended(), "outlived")
      assert.deepStrictEqual([lanes.committedBatches(), other.committedBatches()], [1, 1])
      assert.strictEqual(other.ended(), undefined)
      const rest = lanes.uncommitted()
      assert.deepStrictEqual(rest.map(({ firstMessage, messages }) => [firstMessage, messages]), [[2, 2], [4, 2]])
      assert.deepStrictEqual(rest.map(({ payload }) => payload[0]), [1, 2])
      // Published behind the end: it commits no more.
      lanes.publish(0)
      yield* pass(2)
      assert.strictEqual(lanes.committedBatches(), 1)
      lanes.leave()
    }).pipe(Effect.scoped, Effect.provide(Running)))

  it.effect("each batch that closes a gap gives the session a whole lease", () =>
    Effect.gen(function*() {
      const lanes = yield* openNow()
      publish(lanes, 1, 3)
      for (const sequence of [0, 1, 2]) {
        yield* pass(25)
        publish(lanes, 0, sequence)
      }
      yield* pass(1)
      assert.deepStrictEqual([lanes.ended(), lanes.committedBatches()], [undefined, 4])
    }).pipe(Effect.scoped, Effect.provide(Running)))

  it.effect("of a pause only one step counts, and of a change of the server none", () =>
    Effect.gen(function*() {
      const { pause, resume } = yield* Sequencer
      const { kill, start } = yield* Log.MemoryServers
      const lanes = yield* openNow()
      publish(lanes, 1, 1)
      yield* pass(10)
      yield* pause
      yield* pass(100)
      yield* resume
      yield* pass(10)
      assert.strictEqual(lanes.ended(), undefined)
      yield* kill
      yield* pass(5)
      yield* start
      yield* pass(25)
      assert.strictEqual(lanes.ended(), undefined)
      yield* pass(10)
      assert.strictEqual(lanes.ended(), "outlived")
    }).pipe(Effect.scoped, Effect.provide(Running)))

  it.effect("a gap does not count while the batch that closes it finds no room in the index", () =>
    Effect.gen(function*() {
      const reader = yield* attach(Held)
      const [lanes, other] = [yield* openNow(), yield* openNow()]
      publish(lanes, 1, 1)
      // The other's batches fill the index, which the reader keeps.
      for (let sequence = 0; sequence < 64; sequence += 1) assert.isTrue(publish(other, sequence % 2, sequence, 1))
      yield* pass(1)
      assert.strictEqual(other.committedBatches(), 64)
      publish(lanes, 0, 0)
      yield* pass(120)
      assert.deepStrictEqual([lanes.ended(), lanes.committedBatches()], [undefined, 0])
      consume(reader)
      yield* pass(1)
      assert.deepStrictEqual([lanes.ended(), lanes.committedBatches()], [undefined, 2])
    }).pipe(Effect.scoped, Effect.provide(layerWithPorts({ geometry: { ...tight, laneSlots: 64 } }))))

  it.live("a publisher that cannot resume without a server fails with the loss, and resumes when there is one", () =>
    Effect.gen(function*() {
      const { kill, start } = yield* Log.MemoryServers
      const { events } = yield* Sequencer
      const ended = yield* Effect.forkChild(
        events.pipe(Stream.filter(({ _tag }) => _tag === "SessionEnded"), Stream.take(1), Stream.runDrain),
        { startImmediately: true }
      )
      const publisher = yield* Publisher.open(Held, { skew: "1 hour", batchBytes: 64, roomDeadline: "2 seconds" })
      const texts = Array.from({ length: 100 }, (_, i) => bytesOf(`r${i}`))
      yield* publisher.sendAll(texts)
      yield* Effect.scoped(Effect.gen(function*() {
        // It resumes behind its open claim: by then the server is dead.
        yield* publisher.claim(2)
        // The gap: of its lanes only the second one publishes.
        const { heap } = yield* HeapLog
        const session = heap.sessions.find((session) => session !== undefined)!
        makeLanePort(heap, session, (yield* HeapLog).waiter).publish(1)
        yield* Fiber.join(ended)
        yield* kill
      }))
      const lost = yield* Effect.flip(publisher.flush)
      assert.isTrue(lost._tag === "RegionLost" && lost.reason === "died", lost.message)
      assert.isFalse(publisher.offer(bytesOf("later")))
      yield* start
      yield* publisher.flush
      assert.deepStrictEqual([publisher.accepted(), publisher.acknowledged()], [100, 100])
      assert.isTrue(publisher.offer(bytesOf("later")))
    }).pipe(Effect.scoped, Effect.provide(Lossy)))

  it.effect("order total has no gaps", () =>
    Effect.gen(function*() {
      const lanes = yield* openNow(Total)
      publish(lanes, 1, 1)
      yield* pass(120)
      assert.strictEqual(lanes.ended(), undefined)
    }).pipe(Effect.scoped, Effect.provide(Running)))
})
