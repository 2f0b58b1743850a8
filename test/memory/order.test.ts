import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { HeapLog } from "../../src/layers/memory/log/HeapLog.ts"
import { layerWithPorts } from "../../src/layers/memory/log/layer.ts"
import { placeOf } from "../../src/layers/memory/log/Topics.ts"
import { Sequencer } from "../../src/services/Sequencer.ts"
import {
  attach,
  consume,
  drain,
  fill,
  Held,
  messagesPerBatch,
  open,
  publish,
  sequences,
  settle,
  step,
  tight,
  Total,
  write
} from "../backends/memory/ports.ts"

const Manual = layerWithPorts({ drive: "manual", geometry: tight })
const WithoutHolding = layerWithPorts({ drive: "manual", geometry: tight, unsafeIgnoreSessionOrder: true })

describe("the order of a heap log", () => {
  it.effect("holds early batches until the one before them arrives", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      const reader = yield* attach(Held)
      publish(lanes, 1, 1)
      publish(lanes, 1, 2)
      yield* settle
      assert.strictEqual(lanes.committedBatches(), 0)
      assert.strictEqual(drain(reader).length, 0)
      assert.strictEqual(lanes.frontiers(1).held, 2)
      assert.deepStrictEqual(lanes.gap(), { batch: 0, broker: undefined, heldBehind: 2 })
      write(lanes, 0, 0)
      assert.deepStrictEqual(lanes.gap(), { batch: 0, broker: 0, heldBehind: 2 })
      assert.deepStrictEqual(lanes.roomHolder(1), { kind: "gap", broker: 0, batch: 0 })
      lanes.publish(0)
      assert.isTrue(yield* step)
      assert.deepStrictEqual(sequences(drain(reader)), [0, 1, 2])
      assert.strictEqual(lanes.committedBatches(), 3)
      assert.strictEqual(lanes.committedMessages(), 6)
      assert.strictEqual(lanes.gap(), undefined)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("commits what it sees when the hold rule is switched off", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      const reader = yield* attach(Held)
      publish(lanes, 1, 1)
      yield* settle
      publish(lanes, 0, 0)
      yield* settle
      assert.deepStrictEqual(sequences(drain(reader)), [1, 0])
    }).pipe(Effect.scoped, Effect.provide(WithoutHolding)))

  it.effect("orders a total topic as it comes and acknowledges the prefix only", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Total)
      const reader = yield* attach(Total)
      publish(lanes, 1, 1)
      publish(lanes, 1, 2)
      yield* settle
      assert.deepStrictEqual(sequences(drain(reader)), [1, 2])
      assert.strictEqual(lanes.committedBatches(), 0)
      publish(lanes, 0, 0)
      yield* settle
      assert.deepStrictEqual(sequences(drain(reader)), [0])
      assert.strictEqual(lanes.committedBatches(), 3)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("drops and counts duplicates, whether committed or held", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      const reader = yield* attach(Held)
      publish(lanes, 0, 0)
      yield* settle
      publish(lanes, 1, 0)
      publish(lanes, 0, 2)
      publish(lanes, 1, 2)
      yield* settle
      assert.strictEqual(lanes.frontiers(1).duplicates, 2)
      assert.strictEqual(lanes.inFlight(1), 0)
      publish(lanes, 0, 1)
      yield* settle
      assert.deepStrictEqual(sequences(drain(reader)), [0, 1, 2])
      const { duplicates, held } = yield* Sequencer.use(({ status }) => status)
      assert.deepStrictEqual({ duplicates, held }, { duplicates: 2, held: 0 })
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("E07 does not delay a session for the gap of another", () =>
    Effect.gen(function*() {
      const late = yield* open(Held)
      const other = yield* open(Held)
      const reader = yield* attach(Held)
      publish(late, 1, 1)
      publish(other, 0, 0)
      publish(other, 1, 1)
      assert.isTrue(yield* step)
      assert.strictEqual(other.committedBatches(), 2)
      assert.strictEqual(late.committedBatches(), 0)
      const batches = drain(reader)
      assert.deepStrictEqual(batches.map(({ sessionId }) => sessionId), [other.sessionId, other.sessionId])
      assert.deepStrictEqual(batches.map(({ index, position }) => [index, position]), [[0, 0], [1, 2]])
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("gives every topic an order of its own", () =>
    Effect.gen(function*() {
      const held = yield* open(Held)
      const total = yield* open(Total)
      publish(held, 0, 0)
      publish(total, 0, 0)
      publish(total, 1, 1)
      yield* settle
      const heldReader = yield* attach(Held)
      const totalReader = yield* attach(Total)
      assert.strictEqual(heldReader.committed(), 1)
      assert.strictEqual(totalReader.committedMessages(), 4)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("takes batches until the last slot of a lane is taken, and keeps none back", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      assert.isTrue(write(lanes, 1, 0))
      const next = fill(lanes, 0, 1)
      assert.strictEqual(next, 9)
      assert.strictEqual(lanes.inFlight(0), 8)
      assert.strictEqual(lanes.fullEvents(), 1)
      yield* settle
      assert.strictEqual(lanes.committedBatches(), 0)
      lanes.publish(1)
      yield* settle
      assert.strictEqual(lanes.committedBatches(), 9)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("admits by bytes as well as by slots", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      assert.isTrue(write(lanes, 1, 0))
      assert.strictEqual(fill(lanes, 0, 1, 2048), 9)
      assert.strictEqual(lanes.inFlight(0), 8)
      yield* settle
      lanes.publish(1)
      yield* settle
      assert.strictEqual(lanes.committedBatches(), 9)
    }).pipe(
      Effect.scoped,
      Effect.provide(layerWithPorts({ geometry: { ...tight, laneSlots: 16 }, drive: "manual" }))
    ))

  it.effect("gives the same room for a batch until it is sealed, and refuses what was not begun", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      assert.strictEqual(lanes.begin(0, 0), lanes.begin(0, 0))
      assert.throws(() => {
        lanes.seal(0, {
          batchSequence: 1,
          firstMessage: 0,
          messageCount: 1,
          payloadBytes: 1,
          uniformBytes: 1,
          lengths: new Uint32Array(0)
        })
      }, /not begun/)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("shows a batch to the sequencer only when it is published", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      write(lanes, 0, 0)
      assert.isFalse(yield* step)
      assert.deepStrictEqual([lanes.written(0), lanes.published(0)], [1, 0])
      lanes.publish(0)
      assert.isTrue(yield* step)
      assert.strictEqual(lanes.published(0), 1)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("ends a session whose lane lies, at its committed prefix", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      publish(lanes, 0, 0)
      yield* settle
      lanes.begin(0, 1)
      lanes.seal(0, {
        batchSequence: 1,
        firstMessage: 2,
        messageCount: 3,
        payloadBytes: 10,
        uniformBytes: 4,
        lengths: new Uint32Array(0)
      })
      lanes.publish(0)
      yield* settle
      assert.strictEqual(lanes.ended(), "corrupt")
      assert.strictEqual(lanes.committedBatches(), 1)
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("E18 is right beyond 2^32 records and a million laps of the index", () =>
    Effect.gen(function*() {
      const { heap } = yield* HeapLog
      const topic = yield* Effect.fromResult(placeOf(heap, Held, false))
      topic.committedBatches = topic.trimmed = topic.delivered = 1_000_000 * 64 - 50
      topic.committedMessages = topic.trimmedMessages = 2 ** 32 - 100
      for (const lane of heap.lanes.flat()) {
        lane.scanned = lane.released = 2 ** 32 - 20
        lane.payloadEnd = 2 ** 32 - 2048
      }
      const lanes = yield* open(Held)
      const reader = yield* attach(Held)
      const first = 2 ** 31 - 50
      const session = heap.sessions[0]!
      session.expected = session.acknowledgedBatches = first
      session.expectedMessages = session.acknowledgedMessages = messagesPerBatch * first
      let position = 2 ** 32 - 100
      for (let sequence = first; sequence < first + 400; sequence += 1) {
        assert.isTrue(publish(lanes, sequence % 2, sequence, 8 + sequence % 64))
        yield* settle
        const [batch, more] = consume(reader)
        assert.deepStrictEqual([batch?.batchSequence, batch?.position, more], [sequence, position, undefined])
        assert.strictEqual(batch?.firstMessage, messagesPerBatch * sequence)
        assert.isTrue(batch?.payload.every((byte) => byte === sequence % 251))
        position += messagesPerBatch
        if (position !== 2 ** 32 + 4) continue
        const [found] = yield* Effect.scoped(Effect.map(attach(Held, { position: 2 ** 32 + 1 }), drain))
        assert.strictEqual(found?.position, 2 ** 32)
      }
      assert.strictEqual(reader.committed(), 1_000_000 * 64 + 350)
      assert.strictEqual(lanes.committedBatches(), first + 400)
      assert.strictEqual(lanes.committedMessages(), messagesPerBatch * (first + 400))
    }).pipe(Effect.scoped, Effect.provide(Manual)))

  it.effect("passes many laps of lanes and index without a stall or a loss", () =>
    Effect.gen(function*() {
      const lanes = yield* open(Held)
      const reader = yield* attach(Held)
      const laps = 150
      let written = 0
      let read = 0
      while (written < laps * 64) {
        for (let broker = 0; broker < 2; broker += 1) {
          if (publish(lanes, broker, written, 8 + written % 64)) written += 1
          assert.isAtMost(lanes.inFlight(broker), 8)
        }
        yield* step
        if (written % 5 !== 0) continue
        for (const batch of consume(reader)) {
          assert.strictEqual(batch.batchSequence, read)
          assert.strictEqual(batch.payload.length, 2 * (8 + read % 64))
          assert.isTrue(batch.payload.every((byte) => byte === read % 251))
          read += 1
        }
      }
      yield* settle
      assert.strictEqual(read + consume(reader).length, written)
    }).pipe(Effect.scoped, Effect.provide(Manual)))
})
