/**
 * The promises of a subscriber and a topic, over any backend.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import { Publisher, type PublisherHandle } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Sequencer } from "../../../src/services/Sequencer.ts"
import { Subscriber, type SubscriberHandle } from "../../../src/services/Subscriber.ts"
import { type Backend, type BackendOptions, bytesOf, smallGeometry, textOf } from "../../backends/log.ts"

const Lines = Topic.make("lines")

/** Sends one record per batch. */
const sendApart = (publisher: PublisherHandle<Uint8Array>, texts: ReadonlyArray<string>) =>
  Effect.forEach(texts, (text) => Effect.andThen(publisher.send(bytesOf(text)), Effect.sync(() => publisher.seal())))

const numbers = (count: number) => Array.from({ length: count }, (_, i) => `${i}`)

const texts = (count: number) => (subscriber: SubscriberHandle<Uint8Array>) =>
  subscriber.records.pipe(
    Stream.take(count),
    Stream.runCollect,
    Effect.map((records) => records.map(({ value }) => textOf(value)))
  )

export const subscribingSuite = (backend: Backend): void => {
  const provide = (options?: BackendOptions) =>
    Effect.provide(backend.embedded({ geometry: smallGeometry, ...options }))

  describe(`subscribing (${backend.name})`, () => {
    it.live("begins at the start, at the end, or at a position", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        yield* publisher.sendAll(numbers(10).map(bytesOf))
        yield* publisher.flush
        const end = yield* Subscriber.open(Lines, { from: "end" })
        const start = yield* Subscriber.open(Lines, { from: "start" })
        const middle = yield* Subscriber.open(Lines, { from: { position: 7 } })
        assert.strictEqual(end.position(), 10)
        yield* publisher.send(bytesOf("last"))
        yield* publisher.flush
        assert.deepStrictEqual(yield* texts(1)(end), ["last"])
        assert.deepStrictEqual(yield* texts(11)(start), [...numbers(10), "last"])
        assert.deepStrictEqual(yield* texts(4)(middle), ["7", "8", "9", "last"])
      }).pipe(Effect.scoped, provide()))

    it.live("begins at the oldest record kept by default", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        yield* publisher.sendAll(numbers(3).map(bytesOf))
        yield* publisher.flush
        const subscriber = yield* Subscriber.open(Lines, { untilEnd: true })
        assert.strictEqual(subscriber.position(), 0)
        assert.deepStrictEqual(yield* texts(4)(subscriber), numbers(3))
      }).pipe(Effect.scoped, provide()))

    it.live("waits for a position that is still to come", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        const subscriber = yield* Subscriber.open(Lines, { from: { position: 5 } })
        const reading = yield* Effect.forkChild(texts(1)(subscriber))
        yield* sendApart(publisher, numbers(6))
        assert.deepStrictEqual(yield* Fiber.join(reading), ["5"])
      }).pipe(Effect.scoped, provide()))

    it.live("ends at the end when asked to", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        yield* publisher.sendAll(numbers(3).map(bytesOf))
        yield* publisher.flush
        const subscriber = yield* Subscriber.open(Lines, { from: "start", untilEnd: true })
        const seen = yield* Stream.runCollect(subscriber.records)
        assert.deepStrictEqual(seen.map(({ value }) => textOf(value)), numbers(3))
        assert.deepStrictEqual(yield* subscriber.pull, [])
      }).pipe(Effect.scoped, provide()))

    it.live("reuses the oldest when no subscriber is attached, and says what is trimmed away", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        yield* sendApart(publisher, numbers(500))
        yield* publisher.flush
        const error = yield* Effect.flip(Subscriber.open(Lines, { from: { position: 0 } }))
        assert.strictEqual(error._tag, "PositionTrimmed")
        const snapshot = yield* Diagnostics.use((diagnostics) => diagnostics.snapshot)
        const oldest = snapshot.topics[0]?.trimmedMessages ?? 0
        assert.isTrue(error._tag === "PositionTrimmed" && error.start === oldest)
        const subscriber = yield* Subscriber.open(Lines, { from: "start", untilEnd: true })
        const seen = yield* Stream.runCollect(subscriber.records)
        assert.deepStrictEqual(seen.map(({ value }) => textOf(value)), numbers(500).slice(oldest))
      }).pipe(Effect.scoped, provide()))

    it.live("gives every subscriber the same total order of several sessions", () =>
      Effect.gen(function*() {
        const subscribers = yield* Effect.forEach([1, 2], () => Subscriber.open(Lines, { from: "start" }))
        const publishers = yield* Effect.forEach([0, 1, 2], () => Publisher.open(Lines, { skew: "3 millis" }))
        const reading = yield* Effect.forEach(subscribers, (subscriber) => Effect.forkChild(texts(600)(subscriber)))
        yield* Effect.forEach(publishers, (publisher, p) =>
          Effect.andThen(sendApart(publisher, numbers(200).map((i) => `${p}/${i}`)), publisher.flush), {
          concurrency: "unbounded"
        })
        const [first, second] = yield* Effect.forEach(reading, Fiber.join)
        assert.deepStrictEqual(first, second)
        for (const p of [0, 1, 2]) {
          const own = first?.filter((text) =>
            text.startsWith(`${p}/`)
          )
          assert.deepStrictEqual(own, numbers(200).map((i) => `${p}/${i}`))
        }
      }).pipe(Effect.scoped, provide()))

    it.live("keeps topics apart: each has its own order and its own retention", () =>
      Effect.gen(function*() {
        const Other = Topic.make("other", { order: "total" })
        const [here, there] = [yield* Publisher.open(Lines), yield* Publisher.open(Other)]
        const subscriber = yield* Subscriber.open(Other, { from: "start" })
        yield* sendApart(there, numbers(3))
        yield* sendApart(here, numbers(300))
        yield* Effect.all([here.flush, there.flush])
        assert.deepStrictEqual(yield* texts(3)(subscriber), numbers(3))
      }).pipe(Effect.scoped, provide()))

    it.live("lends until the next pull: what is not given back keeps its bytes", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines, { from: "start" })
        const publisher = yield* Publisher.open(Lines, { roomDeadline: "50 millis" })
        yield* sendApart(publisher, ["kept"])
        const [kept] = yield* subscriber.pull
        yield* Effect.flip(Effect.forever(sendApart(publisher, ["x".repeat(4000)])))
        assert.strictEqual(textOf(kept?.payload ?? new Uint8Array()), "kept")
        subscriber.release()
        yield* publisher.send(bytesOf("room again"))
      }).pipe(Effect.scoped, provide()))

    it.live("tells of the reader that keeps publishers waiting", () =>
      Effect.gen(function*() {
        const sequencer = yield* Sequencer
        const stalled = yield* Effect.forkChild(
          sequencer.events.pipe(
            Stream.filter(({ _tag }) => _tag === "ReaderStalled"),
            Stream.take(1),
            Stream.runCollect
          ),
          { startImmediately: true }
        )
        const subscriber = yield* Subscriber.open(Lines, { from: "start", name: "sleeper" })
        const publisher = yield* Publisher.open(Lines, { roomDeadline: "10 millis" })
        yield* Effect.ignore(Effect.forever(publisher.send(new Uint8Array(4096))))
        const [event] = yield* Fiber.join(stalled)
        assert.isTrue(
          event?._tag === "ReaderStalled" && event.reader === "sleeper" && !event.isReplica && event.behindBatches > 0
        )
        assert.strictEqual(subscriber.position(), 0)
      }).pipe(Effect.scoped, provide({ serve: { stallAfter: Duration.millis(20), epochLinger: "1 millis" } })))

    it.live("reports a record that does not match the schema, by its position", () =>
      Effect.gen(function*() {
        const Numbers = Topic.make("lines", { schema: Schema.Struct({ n: Schema.Int }) })
        const publisher = yield* Publisher.open(Lines)
        yield* publisher.send(bytesOf("not a number"))
        const subscriber = yield* Subscriber.open(Numbers, { from: "start" })
        const error = yield* Effect.flip(Stream.runCollect(subscriber.records))
        assert.isTrue(error._tag === "RecordInvalid" && error.position === 0)
      }).pipe(Effect.scoped, provide()))
  })

  describe(`topics (${backend.name})`, () => {
    it.live("are refused under another order or acknowledgement than they were declared with", () =>
      Effect.gen(function*() {
        yield* Publisher.open(Lines)
        const order = yield* Effect.flip(Subscriber.open(Topic.make("lines", { order: "total" })))
        assert.strictEqual(order._tag, "TopicMismatch")
        const ack = yield* Effect.flip(Publisher.open(Topic.make("lines", { ack: "none" })))
        assert.strictEqual(ack._tag, "TopicMismatch")
      }).pipe(Effect.scoped, provide()))

    it.live("are refused with a reason when their declaration cannot be served", () =>
      Effect.gen(function*() {
        const bad = [
          Topic.make("x", { order: "none", ack: "ordered" }),
          Topic.make("x", { ack: "copied" as any }),
          Topic.make("x", { order: "none", ack: "durable" }),
          Topic.make("x", { order: "sorted" as any }),
          Topic.make(""),
          Topic.make("../x"),
          Topic.make("x".repeat(65))
        ]
        for (const topic of bad) {
          assert.strictEqual((yield* Effect.flip(Publisher.open(topic)))._tag, "TopicInvalid")
          assert.strictEqual((yield* Effect.flip(Subscriber.open(topic)))._tag, "TopicInvalid")
        }
      }).pipe(Effect.scoped, provide()))

    it.live("have room for no more than the region was made for, and the error says of which size there are too few", () =>
      Effect.gen(function*() {
        yield* Publisher.open(Lines)
        const error = yield* Effect.flip(Publisher.open(Topic.make("another")))
        assert.strictEqual(error._tag, "RegionError")
        if (error._tag !== "RegionError") return
        assert.strictEqual(error.fault, "full")
        assert.deepStrictEqual(error.sizes, ["topics"])
        assert.include(
          error.message,
          "all 1 topics of the region are in use or named by the server (close the publishers"
        )
        assert.include(error.message, "more topics, at most 64)")
      }).pipe(Effect.scoped, provide({ geometry: { ...smallGeometry, topics: 1 } })))

    it.live("are unknown until declared, where they must exist", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Subscriber.open(Topic.make("nowhere"), { mustExist: true }))
        assert.isTrue(error._tag === "TopicUnknown" && error.known.includes("lines"))
      }).pipe(Effect.scoped, provide({ serve: { topics: [Lines] } })))

    it.live("are as many as the region has room for", () =>
      Effect.gen(function*() {
        for (let i = 0; i < 4; i += 1) yield* Publisher.open(Topic.make(`t${i}`))
        const error = yield* Effect.flip(Subscriber.open(Topic.make("t4")))
        assert.isTrue(error._tag === "RegionError" && error.fault === "full")
      }).pipe(Effect.scoped, provide()))
  })
}
