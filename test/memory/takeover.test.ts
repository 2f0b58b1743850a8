/**
 * Takeover in the heap, also under the test's clock: a standby, none, and an order whose last epoch was open at the death.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Log from "../../src/layers/Log.ts"
import { HeapLog } from "../../src/layers/memory/log/HeapLog.ts"
import { layerWithPorts } from "../../src/layers/memory/log/layer.ts"
import type { LanePort } from "../../src/layers/ports/LanePort.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { Sequencer } from "../../src/services/Sequencer.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { openLanes } from "../backends/lanes.ts"
import { bytesOf } from "../backends/log.ts"
import { memory } from "../backends/memory/log.ts"
import { attach, drain, Held, publish, tight, Total } from "../backends/memory/ports.ts"
import { takingOverSuite } from "../suites/log/takingOver.ts"

takingOverSuite(memory)

const Lines = Topic.make("lines")

/** Collects log lines. */
const listened = () => {
  const lines: Array<string> = []
  return { lines, layer: Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))]) }
}

describe("takeover in the heap", () => {
  it.effect("a standby continues the log a tenth of a second later, and no line is needed", () => {
    const { layer, lines } = listened()
    return Effect.gen(function*() {
      const { kill } = yield* Log.MemoryServers
      const sequencer = yield* Sequencer
      const taking = yield* Effect.forkChild(
        sequencer.events.pipe(Stream.filter(({ _tag }) => _tag === "TakenOver"), Stream.take(1), Stream.runCollect),
        { startImmediately: true }
      )
      const publisher = yield* Publisher.open(Lines)
      yield* publisher.send(bytesOf("one"))
      yield* publisher.flush
      assert.isTrue(yield* kill)
      assert.isFalse(yield* kill)
      yield* publisher.send(bytesOf("two"))
      const flushing = yield* Effect.forkChild(publisher.flush, { startImmediately: true })
      yield* TestClock.adjust("99 millis")
      assert.strictEqual(flushing.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(flushing)
      const [event] = yield* Fiber.join(taking)
      assert.deepInclude(event, { _tag: "TakenOver", epoch: 2, records: 1, keptBatches: 1, openSessions: 1 })
      assert.strictEqual(sequencer.epoch, 2)
      assert.deepStrictEqual(lines, [])
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(Log.layerMemory({ standbys: 1 }), layer)))
  })

  it.effect("without a standby one line says what is waited for, and the deadline is that of the clock", () => {
    const { layer, lines } = listened()
    return Effect.gen(function*() {
      const { kill } = yield* Log.MemoryServers
      const publisher = yield* Publisher.open(Lines)
      const subscriber = yield* Subscriber.open(Lines)
      yield* kill
      const waiting = yield* Effect.forkChild(
        Effect.all([Effect.flip(publisher.lost), Effect.flip(subscriber.pull)], { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("400 millis")
      assert.deepStrictEqual(lines, [])
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0] ?? "", /region "memory": .* is gone; waiting at most 10.00 s for another/)
      yield* TestClock.adjust("9300 millis")
      assert.strictEqual(waiting.pollUnsafe(), undefined)
      yield* TestClock.adjust("100 millis")
      for (const error of yield* Fiber.join(waiting)) assert.strictEqual(error._tag, "RegionLost")
      assert.strictEqual(lines.length, 1)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(Log.layerMemory(), layer)))
  })

  const Running = layerWithPorts({ geometry: tight })
  const openNow = (topic: Topic.Topic) => Effect.flatMap(HeapLog, (log) => openLanes(log, topic))

  // A gap of one session keeps the epoch open.
  const openEpoch = Effect.gen(function*() {
    const late = yield* openNow(Held)
    publish(late, 1, 1)
    yield* TestClock.adjust("100 micros")
    return late
  })

  const relayed = Effect.gen(function*() {
    const { kill, start } = yield* Log.MemoryServers
    yield* kill
    yield* TestClock.adjust("1 second")
    yield* start
    yield* TestClock.adjust("1 second")
  })

  it.effect("what was in an open epoch is ordered anew, once (order session)", () =>
    Effect.gen(function*() {
      const late = yield* openEpoch
      const other = yield* openNow(Held)
      publish(other, 0, 0)
      publish(other, 1, 2)
      yield* TestClock.adjust("100 micros")
      assert.strictEqual(other.committedBatches(), 0)
      yield* relayed
      assert.deepStrictEqual([late.committedBatches(), other.committedBatches()], [0, 1])
      publish(other, 0, 1)
      publish(late, 0, 0)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([late.committedBatches(), other.committedBatches()], [2, 3])
      assert.deepStrictEqual([late.committedMessages(), other.committedMessages()], [4, 6])
      const found = drain(yield* attach(Held)).map((batch) => `${batch.sessionId} ${batch.batchSequence}`)
      const own = (lanes: LanePort, count: number) => Array.from({ length: count }, (_, i) => `${lanes.sessionId} ${i}`)
      assert.sameMembers(found, [...own(late, 2), ...own(other, 3)])
      assert.deepStrictEqual(found.filter((text) => text.startsWith(`${other.sessionId} `)), own(other, 3))
    }).pipe(Effect.scoped, Effect.provide(Running)))

  it.effect("what was in an open epoch is ordered anew, once (order total)", () =>
    Effect.gen(function*() {
      const lanes = yield* openNow(Total)
      // 1 and 4 are committed before the batches ahead of them.
      publish(lanes, 1, 1)
      publish(lanes, 1, 4)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(lanes.committedBatches(), 0)
      const late = yield* openEpoch
      publish(lanes, 0, 0)
      publish(lanes, 0, 2)
      // 5 never comes: nothing but the recovery emits 6 again.
      publish(lanes, 0, 6)
      yield* TestClock.adjust("100 micros")
      assert.strictEqual(lanes.committedBatches(), 0)
      yield* relayed
      assert.strictEqual(lanes.committedBatches(), 3)
      publish(lanes, 0, 3)
      publish(late, 0, 0)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([lanes.committedBatches(), lanes.committedMessages()], [5, 10])
      const found = drain(yield* attach(Total))
      assert.sameMembers(found.map(({ batchSequence }) => batchSequence), [0, 1, 2, 3, 4, 6])
      assert.deepStrictEqual(found.map(({ position }) => position), [0, 2, 4, 6, 8, 10])
    }).pipe(Effect.scoped, Effect.provide(Running)))
})
