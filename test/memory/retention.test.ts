import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { layerWithPorts } from "../../src/layers/memory/log/layer.ts"
import type { LanePort } from "../../src/layers/ports/LanePort.ts"
import {
  attach,
  consume,
  drain,
  Held,
  open,
  publish,
  sequences,
  settle,
  step,
  tight
} from "../backends/memory/ports.ts"

const manual = { drive: "manual", geometry: tight } as const
const Manual = layerWithPorts(manual)
const SmallIndex = layerWithPorts({ drive: "manual", geometry: { ...tight, laneSlots: 128 } })
const Poisoning = layerWithPorts({ ...manual, poisonReleased: true })

/** Publishes in order over both brokers, a step after each, until a lane is full or `until` is reached. */
const publishUntil = Effect.fnUntraced(function*(lanes: LanePort, from: number, until: number) {
  let sequence = from
  while (sequence < until && publish(lanes, sequence % 2, sequence)) {
    sequence += 1
    yield* step
  }
  return sequence
})

describe("the retention of a heap log", () => {
  it.effect("reuses the oldest batches, a quarter of a lane ahead, while no reader is attached", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      assert.strictEqual(yield* publishUntil(lanes, 0, 100), 100)
      assert.isAtMost(lanes.inFlight(0), 6)
      const reader = yield* attach(Held, "start")
      const kept = drain(reader)
      assert.isTrue(kept.length > 0 && kept.length <= 12)
      assert.strictEqual(kept.at(-1)?.batchSequence, 99)
      assert.strictEqual(reader.committed(), 100)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("lets an attached reader gate, names it, and goes on when it releases", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      const reader = yield* attach(Held, "start", "slow")
      const stoppedAt = yield* publishUntil(lanes, 0, 100)
      assert.isBelow(stoppedAt, 17)
      assert.deepStrictEqual(lanes.roomHolder(0), {
        kind: "reader",
        name: "slow",
        pid: process.pid,
        own: true,
        replica: false
      })
      const batches = drain(reader)
      assert.deepStrictEqual(sequences(batches), Array.from({ length: stoppedAt }, (_, i) => i))
      assert.isFalse(publish(lanes, stoppedAt % 2, stoppedAt))
      reader.release(reader.next())
      yield* settle
      assert.isTrue(publish(lanes, stoppedAt % 2, stoppedAt))
      assert.strictEqual(lanes.frontiers(0).delivered, Math.ceil(stoppedAt / 2))
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("keeps lent bytes as they are while others fill the log", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      const reader = yield* attach(Held)
      publish(lanes, 0, 0)
      yield* step
      const [lent] = reader.poll(1)
      yield* publishUntil(lanes, 1, 100)
      assert.isTrue(lent?.payload.every((byte) => byte === 0))
      assert.strictEqual(lent?.payload.length, 32)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("never moves a reader's cursor back, nor past what it polled", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      const reader = yield* attach(Held)
      yield* publishUntil(lanes, 0, 4)
      reader.release(3)
      yield* settle
      assert.strictEqual(lanes.frontiers(0).delivered, 0)
      reader.poll(2)
      reader.release(2)
      reader.release(1)
      yield* settle
      assert.strictEqual(lanes.frontiers(0).delivered + lanes.frontiers(1).delivered, 2)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("gates by the slowest of several readers", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      const fast = yield* attach(Held, "start", "fast")
      yield* attach(Held, "start", "slow")
      let sequence = 0
      while (publish(lanes, sequence % 2, sequence)) {
        sequence += 1
        yield* step
        consume(fast)
      }
      const holder = lanes.roomHolder(0)
      assert.strictEqual(holder.kind === "reader" ? holder.name : undefined, "slow")
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("frees the gate when the reader's scope closes", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      const scope = yield* Scope.make()
      yield* Scope.provide(attach(Held), scope)
      const stoppedAt = yield* publishUntil(lanes, 0, 100)
      yield* Scope.close(scope, Exit.void)
      yield* settle
      assert.strictEqual(yield* publishUntil(lanes, stoppedAt, 100), 100)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("begins at the end, at the start, and inside the batch of a position", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      yield* publishUntil(lanes, 0, 6)
      const next = Effect.fnUntraced(function*(from: Parameters<typeof attach>[1]) {
        return (yield* attach(Held, from)).next()
      })
      assert.strictEqual(yield* next("end"), 6)
      assert.strictEqual(yield* next("start"), 0)
      assert.strictEqual(yield* next({ position: 4 }), 2)
      assert.strictEqual(yield* next({ position: 5 }), 2)
      assert.strictEqual(yield* next({ position: 6 }), 3)
      assert.strictEqual(yield* next({ position: 1000 }), 6)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("refuses a position that is trimmed away and says what is kept", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      yield* publishUntil(lanes, 0, 100)
      const kept = (yield* attach(Held, "start")).next() * 2
      const error = yield* Effect.flip(attach(Held, { position: kept - 1 }))
      assert.strictEqual(error._tag, "PositionTrimmed")
      if (error._tag === "PositionTrimmed") {
        assert.deepStrictEqual([error.requested, error.start], [kept - 1, kept])
      }
      assert.strictEqual((yield* attach(Held, { position: kept })).next() * 2, kept)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("does not call it a gap when batches wait for room in the index", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      const reader = yield* attach(Held, "start", "slow")
      for (let sequence = 0; sequence < 62; sequence += 1) publish(lanes, 0, sequence)
      publish(lanes, 1, 63)
      publish(lanes, 1, 64)
      yield* settle
      assert.strictEqual(lanes.gap()?.batch, 62)
      publish(lanes, 0, 62)
      yield* settle
      assert.strictEqual(lanes.committedBatches(), 64)
      assert.strictEqual(lanes.frontiers(1).held, 1)
      assert.strictEqual(lanes.gap(), undefined)
      assert.strictEqual(lanes.roomHolder(0).kind, "reader")
      consume(reader)
      yield* settle
      assert.strictEqual(lanes.committedBatches(), 65)
    }).pipe(Effect.scoped, Effect.provide(SmallIndex)))

  it.effect("poisons what was returned, for this reader alone", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      const reader = yield* attach(Held)
      const other = yield* attach(Held)
      publish(lanes, 0, 0)
      yield* settle
      const [mine] = drain(reader)
      const [theirs] = drain(other)
      assert.isTrue(mine?.payload.every((byte) => byte === 0))
      reader.release(reader.next())
      assert.isTrue(mine?.payload.every((byte) => byte === 0xdb))
      assert.isTrue(theirs?.payload.every((byte) => byte === 0))
    }).pipe(Effect.scoped, Effect.provide(Poisoning)))
})
