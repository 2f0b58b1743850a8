/**
 * The promises of a publisher, over any backend.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { AckTracker, waitingLine } from "../../../src/services/AckTracker.ts"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import { Publisher } from "../../../src/services/Publisher.ts"
import { RegionError } from "../../../src/services/schema/RegionError.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Sequencer } from "../../../src/services/Sequencer.ts"
import { Subscriber } from "../../../src/services/Subscriber.ts"
import { type Backend, type BackendOptions, bytesOf, smallGeometry, textOf } from "../../backends/log.ts"

const Lines = Topic.make("lines")

const Trade = Schema.Struct({ symbol: Schema.String, price: Schema.Number, sizes: Schema.Array(Schema.Int) })
const Trades = Topic.make("trades", { schema: Trade })

export const publishingSuite = (backend: Backend): void => {
  const provide = (options?: BackendOptions) =>
    Effect.provide(backend.embedded({ geometry: smallGeometry, ...options }))

  describe(`publishing (${backend.name})`, () => {
    it.live("refuses impossible options by name: times, sizes, positions", () =>
      Effect.gen(function*() {
        const refused = (opening: Effect.Effect<unknown, Error, Scope.Scope>, option: string) =>
          Effect.map(Effect.flip(Effect.scoped(opening)), (error) => {
            assert.isTrue(error instanceof RegionError && error.fault === "invalid", String(error))
            assert.match(error.message, new RegExp(`${option} cannot be`))
          })
        const serving = (serve?: BackendOptions["serve"] & {}) =>
          Layer.build(backend.embedded({ geometry: smallGeometry, ...serve === undefined ? {} : { serve } }))
        for (const epochLinger of [-1, NaN, "2 seconds", "for ever"]) {
          yield* refused(serving({ epochLinger: epochLinger as number }), "epochLinger")
        }
        yield* refused(serving({ stallAfter: -1 }), "stallAfter")
        const services = yield* serving()
        const opened = <A, E>(opening: Effect.Effect<A, E, Publisher | Subscriber | Scope.Scope>) =>
          Effect.provide(opening, services)
        for (const option of ["openDeadline", "linger", "roomDeadline", "ackDeadline", "skew"]) {
          yield* refused(opened(Publisher.open(Lines, { [option]: -1 })), option)
        }
        for (const batchBytes of [0, -1, NaN, 1.5, Infinity]) {
          yield* refused(opened(Publisher.open(Lines, { batchBytes })), "batchBytes")
        }
        for (const position of [-1, NaN, 0.5, Infinity]) {
          yield* refused(opened(Subscriber.open(Lines, { from: { position } })), "from.position")
        }
        // The refused openings declared and opened nothing.
        const { sessions, topics } = yield* Effect.provide(Diagnostics.use(({ snapshot }) => snapshot), services)
        assert.deepStrictEqual([sessions.length, topics.length], [0, 0])
      }).pipe(Effect.scoped))

    it.live("refuses impossible arguments, does nothing for them, and goes on", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        const none = [NaN, -1, 0.5, Infinity, 2 ** 53, "3" as unknown as number]
        for (const number of none) {
          const calls = {
            awaitAcknowledged: publisher.awaitAcknowledged(number),
            awaitReaders: publisher.awaitReaders(number),
            claim: Effect.scoped(publisher.claim(number))
          }
          for (const [call, effect] of Object.entries<Effect.Effect<unknown, { readonly _tag: string }>>(calls)) {
            const error = yield* Effect.flip(effect)
            assert.strictEqual(error._tag, "ArgumentInvalid")
            assert.include(String(error), `${call}: `)
            assert.include(String(error), `cannot be ${number} (it must be a whole number`)
          }
        }
        const many = yield* Effect.flip(publisher.awaitReaders(smallGeometry.readers! + 1))
        assert.match(String(many), /awaitReaders: count cannot be 5 \(it must be a whole number from 0 to 4\)/)
        yield* Effect.scoped(Effect.gen(function*() {
          const claim = yield* publisher.claim(8)
          for (const length of [...none, 9]) assert.throws(() => claim.commit(length), /commit: length cannot be/)
          assert.strictEqual(publisher.accepted(), 0)
          claim.bytes.fill(7)
          claim.commit(2)
        }))
        yield* publisher.flush
        yield* publisher.awaitAcknowledged(1)
        yield* publisher.awaitReaders(0)
        const subscriber = yield* Subscriber.open(Lines)
        const [record] = yield* subscriber.records.pipe(Stream.take(1), Stream.runCollect)
        assert.deepStrictEqual(record?.value, new Uint8Array([7, 7]))
      }).pipe(Effect.scoped, provide()))

    it.live("carries values of a schema", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Trades, { from: "start" })
        const publisher = yield* Publisher.open(Trades)
        const trades = Array.from({ length: 20 }, (_, i) => ({ symbol: `S${i}`, price: i / 4, sizes: [i, i + 1] }))
        yield* publisher.sendAll(trades)
        yield* publisher.flush
        const records = yield* subscriber.records.pipe(Stream.take(20), Stream.runCollect)
        assert.deepStrictEqual(records.map(({ value }) => value), trades)
        assert.deepStrictEqual(
          records.map(({ position, sequence }) => [position, sequence]),
          trades.map((_, i) => [i, i])
        )
      }).pipe(Effect.scoped, provide()))

    it.live("refuses a value that its schema cannot encode as a typed error, and goes on", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Trades, { from: "start", untilEnd: true })
        const publisher = yield* Publisher.open(Trades)
        const good = (symbol: string) => ({ symbol, price: 1, sizes: [] })
        const bad = { symbol: "bad", price: 1, sizes: [0.5] }
        const refused = [
          publisher.send(bad),
          publisher.sendAll([good("a"), bad, good("never")]),
          Stream.run(Stream.make(good("b"), bad, good("never")), publisher.sink)
        ]
        for (const sending of refused) {
          const error = yield* Effect.flip(sending)
          assert.isTrue(error._tag === "ValueInvalid" && error.subject === "trades")
          assert.include(error.message, "sizes")
        }
        assert.isFalse(publisher.offer(bad))
        assert.isTrue(publisher.offer(good("c")))
        yield* publisher.flush
        const seen = yield* Stream.runCollect(subscriber.records)
        assert.deepStrictEqual(seen.map(({ value }) => value.symbol), ["a", "b", "c"])
      }).pipe(Effect.scoped, provide()))

    it.live("refuses a value at which its schema throws as a typed error, too", () =>
      Effect.gen(function*() {
        const throwing = Schema.String.check(Schema.makeFilter((text) => {
          if (text === "thrown") throw new Error("thrown by the schema")
          return true
        }))
        const publisher = yield* Publisher.open(Topic.make("throwing", { schema: throwing }))
        const error = yield* Effect.flip(publisher.send("thrown"))
        assert.isTrue(error._tag === "ValueInvalid" && error.issue.includes("thrown by the schema"))
        assert.isFalse(publisher.offer("thrown"))
        yield* publisher.send("fine")
        yield* publisher.flush
      }).pipe(Effect.scoped, provide()))

    it.live("keeps records of every length apart, empty ones included", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines, { from: "start" })
        const publisher = yield* Publisher.open(Lines)
        const lengths = [0, 1, 0, 3, 3, 3, 4096, 4095, 2, 2048, 2048, 0, 1000, 1000, 1000, 1000, 1000, 7]
        const records = lengths.map((length, i) => new Uint8Array(length).fill(i + 1))
        yield* publisher.sendAll(records)
        yield* publisher.flush
        const seen = yield* subscriber.records.pipe(Stream.take(records.length), Stream.runCollect)
        assert.deepStrictEqual(seen.map(({ value }) => [...value]), records.map((record) => [...record]))
      }).pipe(Effect.scoped, provide()))

    it.live("refuses a record that can never fit, and loses nothing else", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        yield* publisher.send(bytesOf("before"))
        const error = yield* Effect.flip(publisher.send(new Uint8Array(4097)))
        assert.strictEqual(error._tag, "RecordTooLarge")
        assert.isFalse(publisher.offer(new Uint8Array(4097)))
        yield* publisher.send(new Uint8Array(4096))
        yield* publisher.flush
        assert.strictEqual(publisher.acknowledged(), 2)
      }).pipe(Effect.scoped, provide()))

    it.live("seals at the end of the turn without being asked", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        assert.isTrue(publisher.offer(bytesOf("alone")))
        yield* publisher.awaitAcknowledged(1)
        assert.strictEqual(publisher.acknowledged(), 1)
      }).pipe(Effect.scoped, provide()))

    it.live("lingers, and flush does not wait for the linger", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines, { linger: "1 hour" })
        publisher.offer(bytesOf("a"))
        yield* Effect.yieldNow
        assert.strictEqual(publisher.acknowledged(), 0)
        yield* publisher.flush
        assert.strictEqual(publisher.acknowledged(), 1)
      }).pipe(Effect.scoped, provide()))

    it.live("publishes what was accepted when its scope closes", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines, { from: "start" })
        yield* Effect.scoped(Effect.gen(function*() {
          const publisher = yield* Publisher.open(Lines, { linger: "1 hour", skew: "1 hour" })
          for (let i = 0; i < 100; i += 1) publisher.offer(bytesOf(`${i}`))
        }))
        const seen = yield* subscriber.records.pipe(Stream.take(100), Stream.runCollect)
        assert.deepStrictEqual(seen.map(({ value }) => textOf(value)), Array.from({ length: 100 }, (_, i) => `${i}`))
      }).pipe(Effect.scoped, provide()))

    it.live("is closed afterwards, and says so", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const publisher = yield* Publisher.open(Lines).pipe(Scope.provide(scope))
        yield* publisher.send(bytesOf("x"))
        yield* Scope.close(scope, Exit.void)
        assert.isFalse(publisher.offer(bytesOf("y")))
        const error = yield* Effect.flip(publisher.send(bytesOf("y")))
        assert.strictEqual(error._tag, "PublisherClosed")
      }).pipe(Effect.scoped, provide()))

    it.live("writes a claimed record in place; a claim that is not committed never existed", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines, { from: "start" })
        const publisher = yield* Publisher.open(Lines)
        const written = (text: string, claimBytes: number, commit: boolean) =>
          Effect.scoped(Effect.gen(function*() {
            const claim = yield* publisher.claim(claimBytes)
            assert.strictEqual(claim.bytes.length, claimBytes)
            claim.bytes.set(bytesOf(text))
            if (commit) claim.commit(text.length)
          }))
        yield* written("first", 5, true)
        yield* written("never", 100, false)
        yield* written("second", 4096, true)
        yield* publisher.send(bytesOf("third"))
        yield* publisher.flush
        const seen = yield* subscriber.records.pipe(Stream.take(3), Stream.runCollect)
        assert.deepStrictEqual(seen.map(({ value }) => textOf(value)), ["first", "second", "third"])
        assert.strictEqual(publisher.accepted(), 3)
      }).pipe(Effect.scoped, provide()))

    it.live("lets others wait while a claim is open, and go on when it ends", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        const sending = yield* Effect.scoped(Effect.gen(function*() {
          yield* publisher.claim(10)
          assert.isFalse(publisher.offer(bytesOf("no")))
          return yield* Effect.forkChild(publisher.send(bytesOf("later")), { startImmediately: true })
        }))
        yield* Fiber.join(sending)
        yield* publisher.flush
        assert.strictEqual(publisher.acknowledged(), 1)
      }).pipe(Effect.scoped, provide()))

    it.live("attributes acknowledgements to the session and the broker that carried them", () =>
      Effect.gen(function*() {
        const [a, b] = [yield* Publisher.open(Lines), yield* Publisher.open(Lines)]
        for (let i = 0; i < 8; i += 1) {
          yield* a.send(new Uint8Array(4096))
          if (i % 2 === 0) yield* b.send(bytesOf("b"))
          yield* b.flush
        }
        yield* a.flush
        assert.deepStrictEqual([a.acknowledged(), b.acknowledged()], [8, 4])
        assert.deepStrictEqual(a.acks().byBroker, [2, 2, 2, 2])
        assert.deepStrictEqual(b.acks().byBroker, [1, 1, 1, 1])
        assert.isUndefined(a.acks().waitingOn)
        const sessions = yield* AckTracker.use((tracker) => tracker.sessions)
        assert.deepStrictEqual(
          sessions.map(({ acknowledged, sessionId }) => [sessionId, acknowledged]),
          [[a.sessionId, 8], [b.sessionId, 4]]
        )
        const snapshot = yield* Diagnostics.use((diagnostics) => diagnostics.snapshot)
        assert.strictEqual(snapshot.topics[0]?.committedMessages, 12)
        assert.strictEqual(snapshot.brokers.reduce((sum, { frontiers }) => sum + frontiers.orderedMessages, 0), 12)
      }).pipe(Effect.scoped, provide()))

    it.live("names what is missing when acknowledgements stop", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines, { ackDeadline: "50 millis" })
        yield* Sequencer.use((sequencer) => sequencer.pause)
        yield* publisher.send(bytesOf("x"))
        const error = yield* Effect.flip(publisher.flush)
        assert.strictEqual(error._tag, "AckTimeout")
        assert.include(error.message, "0 of 1 acknowledged")
        assert.include(error.message, "waiting on B0 (batch 0")
        assert.strictEqual(waitingLine(publisher.acks()).split(" | ")[0], "acks: B0=0 B1=0 B2=0 B3=0")
        yield* Sequencer.use((sequencer) => sequencer.resume)
        yield* publisher.flush
        assert.strictEqual(publisher.acknowledged(), 1)
      }).pipe(Effect.scoped, provide()))

    it.live("does not wait for acknowledgements under ack none", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Topic.make("quiet", { ack: "none" }))
        yield* Sequencer.use((sequencer) => sequencer.pause)
        yield* publisher.send(bytesOf("x"))
        yield* publisher.flush
        assert.strictEqual(publisher.acknowledged(), 0)
        yield* Sequencer.use((sequencer) => sequencer.resume)
      }).pipe(Effect.scoped, provide()))

    it.live("waits for room and names its own subscriber that holds it", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines, { from: "start", name: "slow" })
        const publisher = yield* Publisher.open(Lines, { roomDeadline: "100 millis" })
        const error = yield* Effect.flip(Effect.forever(publisher.send(new Uint8Array(4096))))
        assert.strictEqual(error._tag, "Backpressure")
        assert.include(error.message, `subscriber "slow"`)
        assert.isTrue(error._tag === "Backpressure" && error.waitingOnOwnSubscriber)
        const accepted = publisher.accepted()
        const sending = yield* Effect.forkChild(publisher.send(bytesOf("more")), { startImmediately: true })
        let read = 0
        while (read <= accepted) read += (yield* subscriber.pull).reduce((sum, batch) => sum + batch.messageCount, 0)
        yield* Fiber.join(sending)
        assert.strictEqual(read, accepted + 1)
        assert.isAbove(publisher.fullEvents(), 0)
      }).pipe(Effect.scoped, provide()))

    it.live("frees its lanes at the end: more sessions than slots, one after the other", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines, { from: "start" })
        for (let i = 0; i < 30; i += 1) {
          yield* Effect.scoped(Effect.gen(function*() {
            const publisher = yield* Publisher.open(Lines)
            yield* publisher.sendAll([bytesOf(`a${i}`), bytesOf(`b${i}`)])
            yield* publisher.flush
          }))
          const seen = yield* subscriber.records.pipe(Stream.take(2), Stream.runCollect)
          assert.deepStrictEqual(seen.map(({ value }) => textOf(value)), [`a${i}`, `b${i}`])
        }
      }).pipe(Effect.scoped, provide({ geometry: { ...smallGeometry, clients: 1 } })))

    it.live("refuses one session more than the region has room for", () =>
      Effect.gen(function*() {
        yield* Publisher.open(Lines)
        const error = yield* Effect.flip(Publisher.open(Lines))
        assert.isTrue(error._tag === "RegionError" && error.fault === "full")
      }).pipe(Effect.scoped, provide({ geometry: { ...smallGeometry, clients: 1 } })))

    it.live("tells which subscribers are attached to its topic, and waits for so many", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        yield* Subscriber.open(Topic.make("elsewhere"))
        assert.deepStrictEqual(publisher.readers(), [])
        yield* publisher.awaitReaders(0)
        const waiting = yield* Effect.forkChild(publisher.awaitReaders(2), { startImmediately: true })
        yield* Subscriber.open(Lines, { name: "first" })
        yield* Effect.sleep(20)
        assert.isUndefined(waiting.pollUnsafe())
        const second = yield* Scope.fork(yield* Effect.scope)
        yield* Scope.provide(Subscriber.open(Lines, { name: "second" }), second)
        yield* Effect.timeout(Fiber.join(waiting), "5 seconds")
        assert.deepStrictEqual(publisher.readers().map(({ name, pid }) => [name, pid]), [
          ["first", process.pid],
          ["second", process.pid]
        ])
        yield* Scope.close(second, Exit.void)
        assert.deepStrictEqual(publisher.readers().map(({ name }) => name), ["first"])
      }).pipe(Effect.scoped, provide()))

    it.live("takes a stream through its sink", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines, { from: "start" })
        const publisher = yield* Publisher.open(Lines)
        const reading = yield* Effect.forkChild(subscriber.records.pipe(Stream.take(5000), Stream.runCollect))
        yield* Stream.range(0, 4999).pipe(Stream.map((i) => bytesOf(`${i}`)), Stream.run(publisher.sink))
        yield* publisher.flush
        const seen = yield* Fiber.join(reading)
        assert.deepStrictEqual(
          seen.map(({ value }) => Number(textOf(value))),
          Array.from({ length: 5000 }, (_, i) => i)
        )
      }).pipe(Effect.scoped, provide()))
  })
}
