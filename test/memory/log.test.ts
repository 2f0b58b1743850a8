import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { layer } from "../../src/layers/memory/log/layer.ts"
import { Publisher, type PublisherOptions } from "../../src/services/Publisher.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { Sequencer } from "../../src/services/Sequencer.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { Held, tight } from "../backends/memory/ports.ts"

const Memory = layer({ geometry: tight })
const text = (line: string) => new TextEncoder().encode(line)

const Order = Topic.make("orders", { schema: Schema.Struct({ item: Schema.String, count: Schema.Int }) })

/** Sends records through the log, and returns them with the order in which a subscriber saw them. */
const roundTrip = (records: number, options?: PublisherOptions) =>
  Effect.gen(function*() {
    const subscriber = yield* Subscriber.open(Held, { from: "start" })
    const publisher = yield* Publisher.open(Held, options)
    const seen = yield* Effect.forkChild(subscriber.records.pipe(Stream.take(records), Stream.runCollect))
    const lines = Array.from({ length: records }, (_, i) => text(`line ${i}`))
    const sending = yield* Effect.forkChild(Effect.andThen(publisher.sendAll(lines), publisher.flush))
    // Only skewed batches wait for the clock, each for a random time.
    while (sending.pollUnsafe() === undefined) yield* TestClock.adjust("1 millis")
    yield* Fiber.join(sending)
    return {
      acknowledged: publisher.acknowledged(),
      byBroker: publisher.acks().byBroker,
      lines: Array.from(yield* Fiber.join(seen), ({ position, sequence, value }) => ({
        position,
        sequence,
        line: new TextDecoder().decode(value)
      }))
    }
  }).pipe(Effect.scoped, Effect.provide(Memory))

describe("the log in memory", () => {
  it.effect("a flush ends at its deadline, also when it has waited for a claim before", () =>
    Effect.gen(function*() {
      const publisher = yield* Publisher.open(Held, { ackDeadline: "1 second" })
      yield* Sequencer.use((sequencer) => sequencer.pause)
      const { commit } = yield* publisher.claim(4)
      const flushing = yield* Effect.forkChild(Effect.flip(publisher.flush), { startImmediately: true })
      yield* TestClock.adjust("600 millis")
      commit()
      yield* TestClock.adjust("399 millis")
      assert.isUndefined(flushing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(flushing))._tag, "AckTimeout")
    }).pipe(Effect.scoped, Effect.provide(Memory)))

  it.effect("gives back what was sent, in order, acknowledged", () =>
    Effect.gen(function*() {
      const { acknowledged, lines } = yield* roundTrip(5000)
      assert.strictEqual(acknowledged, 5000)
      assert.deepStrictEqual(
        lines,
        Array.from({ length: 5000 }, (_, i) => ({
          position: i,
          sequence: i,
          line: `line ${i}`
        }))
      )
    }))

  it.effect("keeps the order of a session whose batches arrive out of order", () =>
    Effect.gen(function*() {
      const { lines } = yield* roundTrip(300, { skew: "5 millis", batchBytes: 64 })
      assert.deepStrictEqual(lines.map(({ sequence }) => sequence), Array.from({ length: 300 }, (_, i) => i))
    }))

  it.effect("does the same again, to the batch", () =>
    Effect.gen(function*() {
      const first = yield* roundTrip(1000, { batchBytes: 128 })
      const second = yield* roundTrip(1000, { batchBytes: 128 })
      assert.deepStrictEqual(second, first)
    }))

  it.effect("carries values of a schema", () =>
    Effect.gen(function*() {
      const publisher = yield* Publisher.open(Order)
      const subscriber = yield* Subscriber.open(Order, { from: "start", untilEnd: true })
      const orders = [{ item: "screws", count: 100 }, { item: "nuts", count: 7 }]
      yield* publisher.sendAll(orders)
      yield* publisher.flush
      const values = yield* subscriber.records.pipe(Stream.map(({ value }) => value), Stream.runCollect)
      assert.deepStrictEqual(Array.from(values), orders)
    }).pipe(Effect.scoped, Effect.provide(Memory)))

  it.effect("publishes what was accepted when a publisher's scope closes", () =>
    Effect.gen(function*() {
      const subscriber = yield* Subscriber.open(Held)
      yield* Effect.scoped(Effect.gen(function*() {
        const publisher = yield* Publisher.open(Held)
        assert.isTrue(publisher.offer(text("the last words")))
      }))
      const [batch] = yield* subscriber.pull
      assert.strictEqual(new TextDecoder().decode(batch?.payload), "the last words")
    }).pipe(Effect.scoped, Effect.provide(Memory)))

  it.effect("names the subscriber that a publisher waits for", () =>
    Effect.gen(function*() {
      yield* Subscriber.open(Held, { from: "start", name: "slow" })
      const publisher = yield* Publisher.open(Held, { roomDeadline: "2 seconds" })
      const record = new Uint8Array(2000)
      while (publisher.offer(record)) yield* publisher.flush
      const sending = yield* Effect.forkChild(Effect.flip(publisher.send(record)), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      const error = yield* Fiber.join(sending)
      assert.strictEqual(error._tag, "Backpressure")
      assert.match(error.message, /no room for 2.00 s, waiting on subscriber "slow".*this process/)
    }).pipe(Effect.scoped, Effect.provide(Memory)))
})
