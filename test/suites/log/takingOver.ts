/**
 * The promises of publishers and subscribers when the log's server ends and another continues the log, over any backend.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import { Publisher, type PublisherHandle } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Subscriber } from "../../../src/services/Subscriber.ts"
import { type Backend, bytesOf, Relay, smallGeometry, textOf } from "../../backends/log.ts"

const topicOf = (order: Topic.Order) => Topic.make(`lines-${order}`, { order })

const orders = ["session", "total"] as const

const numbered = (from: number, to: number, who = "r") =>
  Array.from({ length: to - from }, (_, i) => bytesOf(`${who}${from + i}`))

/** The next records as text, with their positions. */
const take = (subscriber: { readonly records: Stream.Stream<any, any> }, count: number) =>
  subscriber.records.pipe(
    Stream.take(count),
    Stream.map(({ position, value }) => [position, textOf(value)] as const),
    Stream.runCollect
  )

const relayed = Effect.gen(function*() {
  const { end, start } = yield* Relay
  yield* end
  yield* start
})

/** Sends records one by one, in pieces of a few, as long as the servers change. */
const sendAll = (publisher: PublisherHandle<Uint8Array>, who: string, count: number) =>
  Effect.gen(function*() {
    for (let i = 0; i < count; i += 1) {
      yield* publisher.send(bytesOf(`${who} ${i}`))
      if (i % 7 === 0) yield* Effect.sleep(1)
    }
    yield* publisher.flush
  })

export const takingOverSuite = (backend: Backend): void => {
  const provide = (options: Parameters<Backend["relay"]>[0] = {}) =>
    Effect.provide(backend.relay({ geometry: smallGeometry, ...options }))

  describe(`taking over the log (${backend.name})`, () => {
    for (const order of orders) {
      it.live(`E14 sessions and subscribers go on where they are (order ${order})`, () =>
        Effect.gen(function*() {
          const topic = topicOf(order)
          const subscriber = yield* Subscriber.open(topic, { from: "start" })
          const publisher = yield* Publisher.open(topic)
          for (let round = 0; round < 3; round += 1) {
            yield* publisher.sendAll(numbered(round * 50, round * 50 + 50))
            yield* publisher.flush
            assert.strictEqual(publisher.acknowledged(), round * 50 + 50)
            yield* relayed
          }
          const found = yield* take(subscriber, 150)
          assert.deepStrictEqual(found, Array.from({ length: 150 }, (_, i) => [i, `r${i}`] as const))
          const { epoch, serving, sessions } = yield* Diagnostics.use(({ snapshot }) => snapshot)
          assert.isTrue(serving)
          assert.isAtLeast(epoch, 4)
          assert.deepStrictEqual(sessions.map(({ sessionId, state }) => [sessionId, state]), [[
            publisher.sessionId,
            "open"
          ]])
        }).pipe(Effect.scoped, provide()))

      it.live(
        `E14 publishers at work lose and double nothing while servers come and go (order ${order})`,
        () =>
          Effect.gen(function*() {
            const topic = topicOf(order)
            const who = ["a", "b", "c"]
            const count = 400
            const readers = yield* Effect.forEach([1, 2], () => Subscriber.open(topic, { from: "start" }))
            const reading = yield* Effect.forEach(
              readers,
              (reader) => Effect.forkChild(take(reader, count * who.length), { startImmediately: true })
            )
            const sending = yield* Effect.forkChild(
              Effect.forEach(who, (name) =>
                Effect.flatMap(
                  Publisher.open(topic, { skew: "2 millis", batchBytes: 64 }),
                  (publisher) => sendAll(publisher, name, count)
                ), { concurrency: "unbounded", discard: true }),
              { startImmediately: true }
            )
            for (let round = 0; round < 6; round += 1) {
              yield* Effect.sleep(20)
              yield* relayed
            }
            yield* Fiber.join(sending)
            const [first = [], second = []] = yield* Effect.forEach(reading, Fiber.join)
            assert.deepStrictEqual(second, first)
            assert.deepStrictEqual(first.map(([position]) => position), first.map((_, i) => i))
            for (const name of who) {
              const own = first.map(([, text]) => text).filter((text) => text.startsWith(`${name} `))
              const sent = Array.from({ length: count }, (_, i) => `${name} ${i}`)
              assert.deepStrictEqual(order === "session" ? own : own.toSorted(byNumber), sent)
            }
          }).pipe(Effect.scoped, provide()),
        30_000
      )
    }

    it.live("records are published without a server, and the next orders them", () =>
      Effect.gen(function*() {
        const { end, start } = yield* Relay
        const topic = topicOf("session")
        const publisher = yield* Publisher.open(topic)
        const reader = yield* Subscriber.open(topic, { from: "start" })
        yield* end
        yield* publisher.sendAll(numbered(0, 20))
        publisher.seal()
        const late = yield* Effect.forkChild(
          Effect.all([
            publisher.flush,
            Publisher.open(topic),
            Publisher.open(Topic.make("new")),
            Subscriber.open(topic, { from: "start", untilEnd: true }),
            Subscriber.bounds(topic)
          ], { concurrency: "unbounded" }),
          { startImmediately: true }
        )
        yield* Effect.sleep(150)
        assert.strictEqual(late.pollUnsafe(), undefined)
        assert.strictEqual(publisher.acknowledged(), 0)
        yield* start
        const [, , , other] = yield* Fiber.join(late)
        assert.strictEqual(publisher.acknowledged(), 20)
        const records = numbered(0, 20).map((bytes, i) => [i, textOf(bytes)] as const)
        assert.deepStrictEqual(yield* take(reader, 20), records)
        assert.deepStrictEqual(yield* take(other, 20), records)
      }).pipe(Effect.scoped, provide()))

    it.live("a reader to the end of the topic does not take the death of its server for the end", () =>
      Effect.gen(function*() {
        const { end, start } = yield* Relay
        const topic = topicOf("session")
        const publisher = yield* Publisher.open(topic)
        const reader = yield* Subscriber.open(topic, { from: "start", untilEnd: true })
        yield* end
        yield* publisher.sendAll(numbered(0, 5))
        publisher.seal()
        const pulled = yield* Effect.forkChild(reader.pull, { startImmediately: true })
        yield* Effect.sleep(100)
        assert.strictEqual(pulled.pollUnsafe(), undefined)
        yield* start
        yield* publisher.flush
        let records = 0
        for (const batch of yield* Fiber.join(pulled)) records += batch.messageCount
        for (const batch of yield* reader.pull) records += batch.messageCount
        assert.strictEqual(records, 5)
      }).pipe(Effect.scoped, provide()))

    it.live("clients wait for the next server until their deadline, and then fail with the loss", () =>
      Effect.gen(function*() {
        const { end, start } = yield* Relay
        const topic = topicOf("session")
        const publisher = yield* Publisher.open(topic)
        const reader = yield* Subscriber.open(topic, { from: "end" })
        yield* end
        const begun = performance.now()
        yield* publisher.send(bytesOf("kept"))
        const errors = yield* Effect.all([
          Effect.flip(publisher.flush),
          Effect.flip(publisher.lost),
          Effect.flip(reader.lost),
          Effect.flip(reader.pull),
          Effect.flip(Publisher.open(topic)),
          Effect.flip(Subscriber.open(topic))
        ], { concurrency: "unbounded" })
        assert.isAtLeast(performance.now() - begun, 250)
        for (const error of errors) assert.isTrue(error._tag === "RegionLost" && error.reason === "died", error.message)
        // A loss is no end: the next server continues the log with the same clients.
        yield* start
        yield* publisher.flush
        assert.deepStrictEqual(yield* take(reader, 1), [[0, "kept"]])
      }).pipe(Effect.scoped, provide({ client: { serverDeadline: "300 millis" } })))

    it.live("lanes without an order go on too", () =>
      Effect.gen(function*() {
        const { end, start } = yield* Relay
        const topic = topicOf("none")
        const reader = yield* Subscriber.open(topic, { from: "start" })
        const publisher = yield* Publisher.open(topic)
        yield* publisher.sendAll(numbered(0, 10))
        publisher.seal()
        yield* end
        // Readers of order none need no server for what is published.
        yield* publisher.sendAll(numbered(10, 20))
        publisher.seal()
        const texts = (count: number) => Effect.map(take(reader, count), (found) => found.map(([, text]) => text))
        const sent = (from: number, to: number) => numbered(from, to).map(textOf)
        assert.sameMembers(yield* texts(20), sent(0, 20))
        yield* start
        // Many laps of the lanes: their room is given back.
        for (let round = 1; round < 40; round += 1) {
          yield* publisher.sendAll(numbered(20 * round, 20 * round + 20))
          publisher.seal()
          assert.sameMembers(yield* texts(20), sent(20 * round, 20 * round + 20))
        }
      }).pipe(Effect.scoped, provide()))
  })
}

// --- internal ---

const byNumber = (a: string, b: string): number => Number(a.split(" ")[1]) - Number(b.split(" ")[1])
