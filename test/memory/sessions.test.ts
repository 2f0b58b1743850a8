import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { HeapLog } from "../../src/layers/memory/log/HeapLog.ts"
import { layer, layerWithPorts } from "../../src/layers/memory/log/layer.ts"
import { openReader } from "../../src/layers/memory/log/Subscriber.ts"
import { AckTracker, waitingLine } from "../../src/services/AckTracker.ts"
import { Broker } from "../../src/services/Broker.ts"
import { CxlMemory } from "../../src/services/CxlMemory.ts"
import { Diagnostics } from "../../src/services/Diagnostics.ts"
import type { Geometry } from "../../src/services/schema/Geometry.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { Sequencer } from "../../src/services/Sequencer.ts"
import { openLanes } from "../backends/lanes.ts"
import {
  attach,
  drain,
  fill,
  Held,
  open,
  publish,
  sequences,
  settle,
  step,
  tight,
  Total,
  write
} from "../backends/memory/ports.ts"

const manual = { drive: "manual", geometry: tight } as const
const Manual = layerWithPorts(manual)

/** A session in a scope of its own, and the effect that closes it. */
const openApart = Effect.fnUntraced(function*(topic: Topic.Topic) {
  const scope = yield* Scope.make()
  const lanes = yield* Scope.provide(open(topic), scope)
  return { lanes, close: Scope.close(scope, Exit.void) }
})

describe("sessions of a heap log", () => {
  it.effect("opens when the sequencer has adopted the session, not before", () =>
    Effect.gen(function*() {
      const log = yield* HeapLog
      let opened = false
      yield* Effect.forkChild(Effect.tap(openLanes(log, Held), Effect.sync(() => (opened = true))), {
        startImmediately: true
      })
      yield* Effect.yieldNow
      assert.isFalse(opened)
      yield* step
      assert.isTrue(opened)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("ends a closed session behind everything it published", () =>
    Effect.gen(function*() {
      const { close, lanes } = yield* openApart(Held)
      publish(lanes, 0, 0)
      publish(lanes, 1, 1)
      yield* close
      assert.strictEqual(lanes.ended(), undefined)
      yield* settle
      assert.strictEqual(lanes.ended(), "closed")
      assert.strictEqual(lanes.committedBatches(), 2)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("purges what a closed session left behind a gap, and frees its lanes", () =>
    Effect.gen(function*() {
      const { close, lanes } = yield* openApart(Held)
      const reader = yield* attach(Held)
      publish(lanes, 0, 0)
      fill(lanes, 1, 2)
      write(lanes, 0, 1)
      yield* close
      yield* settle
      assert.strictEqual(lanes.ended(), "closed")
      assert.strictEqual(lanes.committedBatches(), 1)
      assert.deepStrictEqual(sequences(drain(reader)), [0])
      assert.strictEqual(lanes.frontiers(1).purged, 8)
      assert.strictEqual(lanes.inFlight(1), 0)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("never shows the next owner of a lane what the former left unpublished", () =>
    Effect.gen(function*() {
      const former = yield* openApart(Held)
      publish(former.lanes, 0, 0)
      write(former.lanes, 0, 1)
      write(former.lanes, 0, 2)
      yield* former.close
      yield* settle
      const lanes = yield* open(Held)
      const reader = yield* attach(Held)
      assert.strictEqual(yield* settle, 0)
      publish(lanes, 0, 0)
      yield* settle
      assert.deepStrictEqual(drain(reader).map(({ sessionId }) => sessionId), [former.lanes.sessionId, lanes.sessionId])
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("E12 never touches its lanes again once it closes", () =>
    Effect.gen(function*() {
      const former = yield* openApart(Held)
      write(former.lanes, 0, 0)
      former.lanes.begin(1, 1)
      yield* former.close
      yield* settle
      const lanes = yield* open(Held)
      publish(lanes, 0, 0)
      former.lanes.publish(0)
      assert.isFalse(publish(former.lanes, 1, 1))
      yield* settle
      assert.strictEqual(lanes.committedBatches(), 1)
      assert.strictEqual(former.lanes.committedBatches(), 0)
      assert.strictEqual(former.lanes.fullEvents(), 0)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("goes on in a lane where its former owner ended, whose batches still take room", () =>
    Effect.gen(function*() {
      yield* attach(Held)
      const former = yield* openApart(Held)
      for (let sequence = 0; sequence < 5; sequence += 1) publish(former.lanes, 0, sequence)
      yield* former.close
      yield* settle
      const lanes = yield* open(Held)
      assert.strictEqual(lanes.inFlight(0), 5)
      assert.strictEqual(fill(lanes, 0, 1), 4)
      assert.deepStrictEqual([lanes.written(0), lanes.frontiers(0).ordered], [3, 0])
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("refuses a session when all slots are taken, and a reader likewise", () =>
    Effect.gen(function*() {
      const { close } = yield* openApart(Held)
      yield* open(Held)
      yield* open(Total)
      const log = yield* HeapLog
      const error = yield* Effect.flip(openLanes(log, Held))
      assert.isTrue(error._tag === "RegionError" && error.fault === "full")
      yield* close
      yield* step
      yield* open(Held)
      for (let i = 0; i < log.heap.geometry.readers; i += 1) yield* openReader(log, Held)
      const refused = yield* Effect.flip(openReader(log, Held))
      assert.isTrue(refused._tag === "RegionError" && refused.fault === "full")
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("waits for the slot of a session that is closing while the sequencer runs", () =>
    Effect.gen(function*() {
      const log = yield* HeapLog
      for (let i = 0; i < 20; i += 1) {
        const lanes = yield* Effect.scoped(openLanes(log, Held))
        assert.strictEqual(lanes.sessionId, i + 1)
      }
    }).pipe(Effect.scoped, Effect.provide(layerWithPorts({ geometry: { ...tight, clients: 1 } }))))
})

describe("topics of a heap log", () => {
  const opening = (topic: Topic.Topic, mustExist = false) =>
    Effect.flatMap(HeapLog, (log) => Effect.flip(openReader(log, topic, { mustExist })))

  it.effect("declares a topic once", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* opening(Topic.make("other"), true))._tag, "TopicUnknown")
      const mismatch = yield* opening(Topic.make("held", { order: "total" }))
      assert.match(mismatch.message, /order "session", ack "ordered", not as order "total", ack "ordered"/)
      assert.strictEqual((yield* opening(Topic.make("held", { ack: "none" })))._tag, "TopicMismatch")
      assert.strictEqual((yield* opening(Topic.make("-no")))._tag, "TopicInvalid")
      assert.strictEqual((yield* opening(Topic.make("no", { order: "none", ack: "ordered" })))._tag, "TopicInvalid")
    }).pipe(Effect.scoped, Effect.provide(layerWithPorts({ ...manual, topics: [Held] }))))

  const onePlace = { ...manual, geometry: { ...tight, topics: 1 } } as const

  it.effect("refuses more than the region has room for", () =>
    Effect.gen(function*() {
      const error = yield* opening(Total)
      assert.isTrue(error._tag === "RegionError" && error.fault === "full")
    }).pipe(Effect.scoped, Effect.provide(layerWithPorts({ ...onePlace, topics: [Held] }))))

  it.effect("is not built with more named topics than it has room for", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer({ ...onePlace, topics: [Held, Total] }))))
      assert.isTrue(error._tag === "RegionError" && error.fault === "full")
    }))

  it.effect("gives back what a topic kept in lanes with its place, and nothing of what others keep there", () =>
    Effect.gen(function*() {
      const [held, total] = [yield* openApart(Held), yield* openApart(Total)]
      for (let sequence = 0; sequence < 5; sequence += 1) {
        publish(held.lanes, 0, sequence)
        publish(total.lanes, 0, sequence)
      }
      yield* total.close
      yield* settle
      assert.deepStrictEqual([held.lanes.inFlight(0), total.lanes.inFlight(0)], [5, 5])
      yield* open(Topic.make("third"))
      assert.deepStrictEqual([held.lanes.inFlight(0), total.lanes.inFlight(0)], [5, 0])
      assert.deepStrictEqual(sequences(drain(yield* attach(Held))), [0, 1, 2, 3, 4])
    }).pipe(Effect.scoped, Effect.provide(layerWithPorts({ ...manual, geometry: { ...tight, topics: 2 } }))))

  it.effect("has no place freed once its sequencer has stopped", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.fork(yield* Effect.scope)
      const log = Context.get(yield* Layer.build(layerWithPorts(onePlace)).pipe(Scope.provide(scope)), HeapLog)
      yield* Effect.scoped(openReader(log, Held))
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.flip(Effect.scoped(openReader(log, Total)))
      assert.isTrue(error._tag === "RegionError" && error.fault === "full")
      assert.include(error.message, "all 1 topics of the region are declared, and its server is gone")
    }).pipe(Effect.scoped))

  it.effect("is waited for by a reader for three seconds while the session that has it is closing", () =>
    Effect.gen(function*() {
      const log = yield* HeapLog
      const sequencer = yield* Sequencer
      yield* Effect.scoped(Effect.andThen(openLanes(log, Held), sequencer.pause))
      const late = yield* Effect.forkChild(Effect.flip(openReader(log, Total)), { startImmediately: true })
      yield* TestClock.adjust("3 seconds")
      const error = yield* Fiber.join(late)
      assert.isTrue(error._tag === "RegionError" && error.fault === "notAnswering", error.message)
      const opening = yield* Effect.forkChild(openReader(log, Total), { startImmediately: true })
      yield* sequencer.resume
      yield* Fiber.join(opening)
      assert.deepStrictEqual(log.heap.topics.map(({ name }) => name), ["total"])
    }).pipe(Effect.scoped, Effect.provide(layerWithPorts({ geometry: { ...tight, topics: 1 } }))))

  it.effect("is not built with topics that cannot be served", () =>
    Effect.gen(function*() {
      const topics = [Topic.make("copied", { ack: "copied" as any })]
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer({ topics }))))
      assert.strictEqual(error._tag, "TopicInvalid")
    }))
})

describe("the geometry of a heap log", () => {
  const wrong: ReadonlyArray<Partial<Geometry>> = [
    { brokers: 0 },
    { brokers: 33 },
    { clients: 257 },
    { topics: 0 },
    { readers: 65 },
    { processes: 1 },
    { laneSlots: 4 },
    { laneSlots: 100 },
    { indexEntries: 32 },
    { batchBytes: 2048 },
    { laneBytes: 7 * 65536 },
    { laneBytes: 262144 },
    { brokers: 1.5 }
  ]
  it.effect.each(wrong)("refuses %o", (geometry) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer({ geometry }))))
      assert.isTrue(error._tag === "RegionError" && error.fault === "invalid", error.message)
    }))

  it.effect("takes no payload memory before a session is open", () =>
    Effect.gen(function*() {
      const { heap } = yield* HeapLog
      const allocated = () => heap.lanes.flat().reduce((bytes, { payload }) => bytes + payload.length, 0)
      assert.strictEqual(allocated(), 0)
      yield* open(Held)
      assert.strictEqual(allocated(), 2 * 8 * 4096)
      const { info, processes } = yield* CxlMemory
      assert.deepStrictEqual([info.backing, info.path, info.geometry.laneSlots], ["heap", "", 8])
      assert.strictEqual((yield* processes)[0]?.pid, process.pid)
    }).pipe(Effect.scoped, Effect.provide(Manual)))
})

describe("reports of a heap log", () => {
  it.effect("attributes acknowledgements to brokers and says what is missing where", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      yield* attach(Held, "start", "slow")
      publish(lanes, 0, 0)
      publish(lanes, 1, 2)
      write(lanes, 0, 1)
      yield* settle
      const [acks] = yield* AckTracker.use(({ sessions }) => sessions)
      assert.strictEqual(acks && waitingLine(acks), "acks: B0=2 B1=0 | 2/4, waiting on B0 (batch 1, held 1 behind it)")
      const { brokers, sessions, topics } = yield* Diagnostics.use(({ snapshot }) => snapshot)
      assert.deepStrictEqual(brokers.map(({ inFlight }) => inFlight), [2, 1])
      assert.deepStrictEqual(sessions.map(({ held, heldTotal, state }) => [held, heldTotal, state]), [[1, 1, "open"]])
      assert.deepStrictEqual(topics[0]?.readers, [{
        name: "slow",
        pid: process.pid,
        cursor: 0,
        gates: true,
        behindBatches: 1,
        behindRecords: 2,
        replica: 0
      }])
      const states = yield* Broker.use(({ states }) => states)
      assert.deepStrictEqual(states.map(({ frontiers }) => [frontiers.written, frontiers.held]), [[2, 0], [1, 1]])
    }).pipe(Effect.scoped, Effect.provide(Manual)))
})
