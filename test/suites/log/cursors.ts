/**
 * Named cursors over any backend: one holder at a time, the next begins behind the last commit, and the former one commits
 * no more.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import { Publisher } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Subscriber, type SubscriberHandle, type SubscriberOptions } from "../../../src/services/Subscriber.ts"
import { type Backend, bytesOf, Relay, smallGeometry, textOf } from "../../backends/log.ts"

const Lines = Topic.make("lines")

const publish = (from: number, to: number, topic: Topic.Topic = Lines) =>
  Effect.scoped(Effect.gen(function*() {
    const publisher = yield* Publisher.open(topic)
    yield* publisher.sendAll(Array.from({ length: to - from }, (_, i) => bytesOf(`r${from + i}`)))
    yield* publisher.flush
  }))

const take = (subscriber: SubscriberHandle<Uint8Array>, count: number) =>
  subscriber.records.pipe(Stream.take(count), Stream.map(({ value }) => textOf(value)), Stream.runCollect)

const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `r${from + i}`)

/** Opens a holder of the cursor in a scope of its own. */
const holding = (options: SubscriberOptions = {}, topic: Topic.Topic = Lines) =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const subscriber = yield* Subscriber.open(topic, { cursor: "billing", ...options }).pipe(Scope.provide(scope))
    return { subscriber, close: Scope.close(scope, Exit.void) }
  })

const cursors = Effect.map(Diagnostics.use(({ snapshot }) => snapshot), (snapshot) => snapshot.cursors)

const relayed = Effect.gen(function*() {
  const { end, start } = yield* Relay
  yield* end
  yield* start
})

export const cursorsSuite = (backend: Backend): void => {
  const embedded = (options: Parameters<Backend["embedded"]>[0] = {}) =>
    Effect.provide(backend.embedded({ geometry: smallGeometry, ...options }))

  describe(`named cursors (${backend.name})`, () => {
    it.live("the next holder begins behind the last commit, and not where the former one had read to", () =>
      Effect.gen(function*() {
        yield* Subscriber.open(Lines)
        yield* publish(0, 20)
        const first = yield* holding()
        assert.deepStrictEqual(yield* take(first.subscriber, 7), numbered(0, 7))
        assert.strictEqual(yield* first.subscriber.commit(), 7)
        assert.deepStrictEqual(yield* take(first.subscriber, 5), numbered(7, 12))
        yield* first.close
        const second = yield* holding({ from: "end" })
        assert.strictEqual(second.subscriber.position(), 7)
        assert.deepStrictEqual(yield* take(second.subscriber, 13), numbered(7, 20))
        assert.strictEqual(yield* second.subscriber.commit(), 20)
        yield* second.close
        const { subscriber } = yield* holding()
        yield* publish(20, 22)
        assert.deepStrictEqual(yield* take(subscriber, 2), numbered(20, 22))
      }).pipe(Effect.scoped, embedded()))

    it.live("a cursor that was never committed begins where it is told; other names and topics are others", () =>
      Effect.gen(function*() {
        const Other = Topic.make("other")
        yield* Subscriber.open(Lines)
        yield* publish(0, 6)
        yield* publish(0, 6, Other)
        const first = yield* holding({ from: { position: 4 } })
        assert.deepStrictEqual(yield* take(first.subscriber, 2), numbered(4, 6))
        yield* first.subscriber.commit()
        const other = yield* holding({}, Other)
        assert.deepStrictEqual(yield* take(other.subscriber, 1), ["r0"])
        const name = yield* holding({ cursor: "audit" })
        assert.deepStrictEqual(yield* take(name.subscriber, 1), ["r0"])
        yield* name.subscriber.commit()
        assert.sameDeepMembers(
          (yield* cursors).map(({ cursor, holder, position, topic }) => [topic, cursor, position, holder?.pid]),
          [
            ["lines", "billing", 6, process.pid],
            ["other", "billing", undefined, process.pid],
            ["lines", "audit", 1, process.pid]
          ]
        )
      }).pipe(Effect.scoped, embedded()))

    it.live("another waits while a cursor is held, and has it as soon as its holder leaves", () =>
      Effect.gen(function*() {
        yield* publish(0, 10)
        const first = yield* holding()
        const next = yield* Effect.forkChild(holding(), { startImmediately: true })
        yield* take(first.subscriber, 3)
        yield* first.subscriber.commit()
        yield* Effect.sleep(200)
        assert.isUndefined(next.pollUnsafe())
        assert.strictEqual(yield* first.subscriber.commit(), 3)
        yield* first.close
        const { subscriber } = yield* Fiber.join(next)
        assert.strictEqual(subscriber.position(), 3)
      }).pipe(Effect.scoped, embedded()))

    it.live("of many that ask for one cursor each has it alone, and each goes on where the one before it was", () =>
      Effect.gen(function*() {
        yield* Subscriber.open(Lines)
        yield* publish(0, 60)
        let holders = 0
        const seen: Array<string> = []
        const turn = Effect.scoped(Effect.gen(function*() {
          const subscriber = yield* Subscriber.open(Lines, { cursor: "billing" })
          holders += 1
          assert.strictEqual(holders, 1)
          seen.push(...yield* take(subscriber, 20))
          yield* subscriber.commit()
          yield* Effect.sleep(5)
          holders -= 1
        }))
        yield* Effect.all([turn, turn, turn], { concurrency: "unbounded" })
        assert.deepStrictEqual(seen, numbered(0, 60))
      }).pipe(Effect.scoped, embedded()))

    it.live("whose cursor was taken over commits nothing more, and is told who has it", () =>
      Effect.gen(function*() {
        yield* Subscriber.open(Lines)
        yield* publish(0, 10)
        const former = yield* holding()
        yield* take(former.subscriber, 3)
        yield* former.subscriber.commit()
        yield* take(former.subscriber, 5)
        const next = yield* holding({ takeOver: true })
        assert.deepStrictEqual(yield* take(next.subscriber, 4), numbered(3, 7))
        const refused = yield* Effect.flip(former.subscriber.commit())
        assert.isTrue(refused._tag === "CursorTaken")
        if (refused._tag !== "CursorTaken") return
        assert.deepInclude(refused, { topic: "lines", cursor: "billing", position: 8, committed: 3 })
        assert.strictEqual(refused.holder?.pid, process.pid)
        assert.match(refused.message, /has taken cursor "billing", so position 8 was not committed; the cursor is at 3/)
        yield* next.subscriber.commit()
        yield* former.close
        assert.strictEqual((yield* Effect.flip(former.subscriber.commit()))._tag, "CursorTaken")
        assert.deepInclude((yield* cursors)[0], { position: 7, isExpired: false })
        yield* next.close
        const again = yield* Effect.flip(former.subscriber.commit())
        assert.isTrue(again._tag === "CursorTaken" && again.holder === undefined, again.message)
        assert.strictEqual((yield* holding()).subscriber.position(), 7)
      }).pipe(Effect.scoped, embedded()))

    it.live("a commit names a position between the last commit and what was delivered", () =>
      Effect.gen(function*() {
        yield* publish(0, 10)
        const { close, subscriber } = yield* holding()
        yield* take(subscriber, 6)
        assert.strictEqual(yield* subscriber.commit({ position: 4 }), 4)
        for (const position of [3, 7, -1, 4.5, Number.NaN]) {
          const error = yield* Effect.flip(subscriber.commit({ position }))
          assert.strictEqual(error._tag, "ArgumentInvalid", error.message)
        }
        assert.strictEqual(yield* subscriber.commit({ position: 4 }), 4)
        yield* close
        assert.strictEqual((yield* holding()).subscriber.position(), 4)
      }).pipe(Effect.scoped, embedded()))

    it.live("what makes no sense is refused: no cursor, no replicas, no order, no name", () =>
      Effect.gen(function*() {
        const plain = yield* Subscriber.open(Lines)
        assert.include((yield* Effect.flip(plain.commit())).message, "without a cursor")
        const { subscriber } = yield* holding()
        assert.include((yield* Effect.flip(subscriber.commit({ durable: true }))).message, "no replicas")
        for (
          const [topic, options] of [
            [Topic.make("none", { order: "none" }), { cursor: "billing" }],
            [Lines, { cursor: "" }],
            [Lines, { cursor: "x".repeat(65) }],
            [Lines, { takeOver: true }],
            [Lines, { cursor: "billing", cursorExpiry: -1 }]
          ] as const
        ) {
          const error = yield* Effect.flip(Subscriber.open(topic, options))
          assert.isTrue(error._tag === "RegionError" && error.fault === "invalid", error.message)
        }
      }).pipe(Effect.scoped, embedded()))

    it.live("a region has four cursors for each of its clients: one more is refused, with the numbers", () =>
      Effect.gen(function*() {
        for (let i = 0; i < 16; i += 1) yield* Effect.flatMap(holding({ cursor: `c${i}` }), ({ close }) => close)
        const error = yield* Effect.flip(holding({ cursor: "one-more" }))
        assert.isTrue(error._tag === "RegionError" && error.fault === "full", error.message)
        assert.include(error.message, "all 16 cursors of the region are in use")
        yield* holding({ cursor: "c3" })
      }).pipe(Effect.scoped, embedded()))

    it.live("a cursor without a holder is forgotten once its time is over, and one that is held is not", () =>
      Effect.gen(function*() {
        yield* Subscriber.open(Lines)
        yield* publish(0, 10)
        const cursorExpiry = "300 millis"
        const held = yield* holding({ cursorExpiry })
        yield* take(held.subscriber, 4)
        yield* held.subscriber.commit()
        for (let i = 0; i < 15; i += 1) {
          yield* Effect.flatMap(holding({ cursor: `c${i}`, cursorExpiry }), ({ close }) => close)
        }
        yield* Effect.sleep(700)
        assert.strictEqual(yield* held.subscriber.commit(), 4)
        // The places of the others are free again.
        for (let i = 0; i < 15; i += 1) {
          yield* Effect.flatMap(holding({ cursor: `d${i}`, cursorExpiry }), ({ close }) => close)
        }
        yield* held.close
        assert.strictEqual((yield* holding({ cursorExpiry, takeOver: true })).subscriber.position(), 4)
      }).pipe(Effect.scoped, embedded()))

    it.live("an expired cursor begins anew", () =>
      Effect.gen(function*() {
        yield* Subscriber.open(Lines)
        yield* publish(0, 10)
        const first = yield* holding({ cursorExpiry: "50 millis" })
        yield* take(first.subscriber, 4)
        yield* first.subscriber.commit()
        yield* first.close
        yield* Effect.sleep(200)
        const next = yield* holding()
        assert.deepStrictEqual(yield* take(next.subscriber, 1), ["r0"])
        assert.strictEqual(yield* next.subscriber.commit(), 1)
      }).pipe(Effect.scoped, embedded()))

    it.live("a cursor without a holder keeps no memory: what it missed meanwhile is named", () =>
      Effect.gen(function*() {
        yield* publish(0, 10)
        const first = yield* holding()
        yield* take(first.subscriber, 4)
        yield* first.subscriber.commit()
        yield* first.close
        for (let round = 0; round < 40; round += 1) yield* publish(0, 40)
        const error = yield* Effect.flip(holding())
        assert.isTrue(error._tag === "PositionTrimmed" && error.requested === 4, error.message)
        // Its opening has failed: another may have it.
        assert.isUndefined((yield* cursors)[0]?.holder)
      }).pipe(Effect.scoped, embedded()))

    it.live("a cursor outlives the server, and its holder commits on", () =>
      Effect.gen(function*() {
        yield* Subscriber.open(Lines)
        yield* publish(0, 10)
        const first = yield* holding()
        yield* take(first.subscriber, 4)
        yield* first.subscriber.commit()
        yield* relayed
        yield* take(first.subscriber, 2)
        assert.strictEqual(yield* first.subscriber.commit(), 6)
        yield* first.close
        yield* relayed
        const { subscriber } = yield* holding()
        assert.deepStrictEqual(yield* take(subscriber, 4), numbered(6, 10))
      }).pipe(Effect.scoped, Effect.provide(backend.relay({ geometry: smallGeometry }))))
  })
}
