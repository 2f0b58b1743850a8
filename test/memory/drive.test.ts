import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { HeapLog } from "../../src/layers/memory/log/HeapLog.ts"
import { layerWithPorts } from "../../src/layers/memory/log/layer.ts"
import { openReader } from "../../src/layers/memory/log/Subscriber.ts"
import type { LanePort } from "../../src/layers/ports/LanePort.ts"
import type * as Topic from "../../src/services/schema/Topic.ts"
import { Sequencer, type SequencerEvent } from "../../src/services/Sequencer.ts"
import { openLanes } from "../backends/lanes.ts"
import { attach, drain, fill, Held, publish, settle, step, tight, Total } from "../backends/memory/ports.ts"

const Running = layerWithPorts({ geometry: tight })

const openNow = (topic: Topic.Topic) => Effect.flatMap(HeapLog, (log) => openLanes(log, topic))

const committed = (lanes: LanePort, batches: number) =>
  lanes.waiter.until(() => lanes.committedBatches() >= batches ? true : undefined)

/** Collects the events from now on. */
const listen = Effect.gen(function*() {
  const { events } = yield* Sequencer
  const heard: Array<SequencerEvent> = []
  const listening = Stream.runForEach(events, (event) => Effect.sync(() => heard.push(event)))
  yield* Effect.forkScoped(listening, { startImmediately: true })
  return heard
})

describe("the drive of a heap log", () => {
  it.effect("orders by itself and needs no clock", () =>
    Effect.gen(function*() {
      const lanes = yield* openNow(Held)
      publish(lanes, 0, 0)
      publish(lanes, 1, 1)
      assert.strictEqual(lanes.committedBatches(), 0)
      yield* committed(lanes, 2)
      const reader = yield* attach(Held)
      assert.strictEqual(drain(reader).length, 2)
    }).pipe(Effect.scoped, Effect.provide(Running)))

  it.effect("goes on when a reader releases or leaves, without anything else moving", () =>
    Effect.gen(function*() {
      const lanes = yield* openNow(Held)
      const scope = yield* Scope.make()
      const reader = yield* Scope.provide(attach(Held), scope)
      const published = fill(lanes, 0, 0)
      yield* committed(lanes, published)
      const room = (sequence: number) => lanes.waiter.until(() => publish(lanes, 0, sequence) ? true : undefined)
      reader.release(reader.poll(1).length)
      yield* room(published)
      assert.isAtLeast(fill(lanes, 0, published + 1), published + 1)
      yield* Scope.close(scope, Exit.void)
      yield* room(published + 1)
    }).pipe(Effect.scoped, Effect.provide(Running)))

  it.effect("keeps an epoch open for held batches, by the clock", () =>
    Effect.gen(function*() {
      const late = yield* openNow(Held)
      const other = yield* openNow(Held)
      publish(late, 1, 1)
      publish(other, 0, 0)
      yield* TestClock.adjust("499 micros")
      assert.strictEqual(other.committedBatches(), 0)
      yield* TestClock.adjust("1 micros")
      assert.strictEqual(other.committedBatches(), 1)
      assert.strictEqual(late.committedBatches(), 0)
      publish(late, 0, 0)
      yield* committed(late, 2)
    }).pipe(Effect.scoped, Effect.provide(Running)))

  it.effect("stands still while paused, but for single steps", () =>
    Effect.gen(function*() {
      const { pause, resume, status } = yield* Sequencer
      const lanes = yield* openNow(Total)
      yield* pause
      publish(lanes, 0, 0)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(lanes.committedBatches(), 0)
      assert.strictEqual((yield* status).state, "paused")
      assert.isTrue(yield* step)
      assert.strictEqual(lanes.committedBatches(), 1)
      publish(lanes, 1, 1)
      yield* resume
      yield* committed(lanes, 2)
      assert.strictEqual((yield* status).state, "serving")
    }).pipe(Effect.scoped, Effect.provide(Running)))

  it.effect("orders what was published before it stops, then ends every wait", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Running, scope)
      const { lanes, reader, waiting } = yield* Effect.gen(function*() {
        const log = yield* HeapLog
        const lanes = yield* openLanes(log, Held)
        const reader = yield* openReader(log, Held)
        publish(lanes, 0, 0)
        const waiting = yield* Effect.forkChild(Effect.flip(committed(lanes, 2)), { startImmediately: true })
        return { lanes, reader, waiting }
      }).pipe(Effect.provide(context))
      yield* Scope.close(scope, Exit.void)
      const lost = yield* Fiber.join(waiting)
      assert.deepStrictEqual([lost._tag, lost.reason, lost.region], ["RegionLost", "stopped", "memory"])
      assert.strictEqual(lanes.committedBatches(), 1)
      assert.isFalse(reader.finished())
      assert.strictEqual(drain(reader).length, 1)
      assert.isTrue(reader.finished())
      assert.isTrue(yield* committed(lanes, 1), "what is there is still found")
    }).pipe(Effect.scoped))

  it.effect("tells of sessions as they open and end", () =>
    Effect.gen(function*() {
      const { events } = yield* Sequencer
      const hearing = yield* Effect.forkChild(Stream.runCollect(Stream.take(events, 2)), { startImmediately: true })
      const sessionId = yield* Effect.scoped(Effect.gen(function*() {
        const lanes = yield* openNow(Held)
        publish(lanes, 0, 0)
        yield* committed(lanes, 1)
        publish(lanes, 0, 2)
        return lanes.sessionId
      }))
      const session = { sessionId, topic: "held" }
      const committedPrefix = { committedBatches: 1, committedMessages: 2, purgedBatches: 1 }
      assert.deepStrictEqual<ReadonlyArray<SequencerEvent>>(Array.from(yield* Fiber.join(hearing)), [
        { _tag: "SessionOpened", ...session, pid: process.pid },
        { _tag: "SessionEnded", ...session, order: "session", reason: "closed", ...committedPrefix }
      ])
    }).pipe(Effect.scoped, Effect.provide(Running)))

  it.effect("tells once of a gap and of a gate that last", () =>
    Effect.gen(function*() {
      const lanes = yield* openNow(Held)
      const gating = yield* openNow(Total)
      yield* attach(Total, "start", "slow")
      const heard = yield* listen
      publish(lanes, 1, 1)
      const published = fill(gating, 0, 0)
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(heard, [])
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual<ReadonlyArray<SequencerEvent>>(heard, [
        {
          _tag: "SessionGap",
          sessionId: lanes.sessionId,
          topic: "held",
          batch: 0,
          broker: undefined,
          held: 1,
          sinceMillis: 1000
        },
        {
          _tag: "ReaderStalled",
          topic: "total",
          reader: "slow",
          isReplica: false,
          pid: process.pid,
          behindBatches: published
        }
      ])
    }).pipe(Effect.scoped, Effect.provide(Running)))

  it.effect("ends the events with the log", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Running, scope)
      const { events } = yield* Effect.provide(Sequencer, context)
      const all = yield* Effect.forkChild(Stream.runCollect(events), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(Array.from(yield* Fiber.join(all)), [])
    }))

  it.effect("does nothing by itself when it is driven by hand", () =>
    Effect.gen(function*() {
      const { status } = yield* Sequencer
      yield* TestClock.adjust("1 minutes")
      assert.strictEqual((yield* status).passes, 0)
      assert.strictEqual(yield* settle, 0)
      assert.strictEqual((yield* status).passes, 1)
    }).pipe(Effect.scoped, Effect.provide(layerWithPorts({ drive: "manual", geometry: tight }))))
})
