/**
 * The promises of publishers and subscribers when a log ends, or its server does not answer, over any backend.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import { Publisher } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Sequencer } from "../../../src/services/Sequencer.ts"
import { Subscriber } from "../../../src/services/Subscriber.ts"
import { type Backend, bytesOf, smallGeometry } from "../../backends/log.ts"

const Lines = Topic.make("lines")

/** A log that can be ended before the test is. */
const endable = (backend: Backend) =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Scope.Scope)
    const services = yield* Layer.build(backend.embedded({ geometry: smallGeometry })).pipe(Scope.provide(scope))
    return { services, end: Scope.close(scope, Exit.void) }
  })

const openSessions = Effect.map(
  Diagnostics.use(({ snapshot }) => snapshot),
  ({ sessions }) => sessions.filter(({ state }) => state === "open").length
)

export const losingSuite = (backend: Backend): void => {
  const provide = Effect.provide(backend.embedded({ geometry: smallGeometry }))

  describe(`losing the log (${backend.name})`, () => {
    it.live("idle handles learn that the log has ended", () =>
      Effect.gen(function*() {
        const { end, services } = yield* endable(backend)
        const publisher = yield* Publisher.open(Lines).pipe(Effect.provide(services))
        const subscriber = yield* Subscriber.open(Lines).pipe(Effect.provide(services))
        const idle = yield* Effect.forkChild(
          Effect.all([Effect.flip(publisher.lost), Effect.flip(subscriber.lost)], { concurrency: "unbounded" }),
          { startImmediately: true }
        )
        yield* publisher.send(bytesOf("x"))
        yield* publisher.flush
        assert.isUndefined(idle.pollUnsafe())
        yield* end
        for (const lost of yield* Fiber.join(idle)) {
          assert.deepStrictEqual([lost._tag, lost.reason], ["RegionLost", "stopped"])
        }
        assert.strictEqual((yield* Effect.flip(publisher.lost))._tag, "RegionLost")
      }).pipe(Effect.scoped))

    it.live("what waits behind an open claim is told that the log has ended", () =>
      Effect.gen(function*() {
        const { end, services } = yield* endable(backend)
        const publisher = yield* Publisher.open(Lines).pipe(Effect.provide(services))
        yield* publisher.claim(8)
        const waits: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }, Scope.Scope>> = [
          publisher.send(bytesOf("x")),
          publisher.flush,
          publisher.claim(8)
        ]
        const waiting = yield* Effect.forEach(waits, (wait) => Effect.forkChild(Effect.flip(wait)))
        yield* Effect.sleep(10)
        yield* end
        for (const wait of waiting) {
          assert.strictEqual((yield* Effect.timeout(Fiber.join(wait), "1 second"))._tag, "RegionLost")
        }
      }).pipe(Effect.scoped))

    it.live("a publisher is not opened on a log that has ended, however often it is tried", () =>
      Effect.gen(function*() {
        const { end, services } = yield* endable(backend)
        yield* end
        for (let i = 0; i < 20; i += 1) {
          const error = yield* Effect.flip(Publisher.open(Lines).pipe(Effect.provide(services)))
          assert.strictEqual(error._tag, "RegionLost")
        }
      }).pipe(Effect.scoped))

    it.live("an opening that is not answered fails in time, names the process that does not answer, and frees what it claimed", () =>
      Effect.gen(function*() {
        const sequencer = yield* Sequencer
        yield* sequencer.pause
        for (let i = 0; i < 2 * smallGeometry.clients!; i += 1) {
          const error = yield* Effect.flip(Publisher.open(Lines, { openDeadline: "20 millis" }))
          assert.isTrue(error._tag === "RegionError" && error.fault === "notAnswering", error.message)
          assert.include(error.message, "not admitted within 20.0 ms: the sequencer, which runs in this process")
          assert.strictEqual(yield* openSessions, 0)
        }
        yield* sequencer.resume
        for (let i = 0; i < smallGeometry.clients!; i += 1) yield* Publisher.open(Lines)
      }).pipe(Effect.scoped, provide))

    it.live("an opening that is interrupted frees what it claimed", () =>
      Effect.gen(function*() {
        const sequencer = yield* Sequencer
        yield* sequencer.pause
        const opening = yield* Effect.forkChild(Publisher.open(Lines), { startImmediately: true })
        assert.strictEqual(yield* openSessions, 1)
        yield* Fiber.interrupt(opening)
        assert.strictEqual(yield* openSessions, 0)
        yield* sequencer.resume
      }).pipe(Effect.scoped, provide))

    it.live("waits in vain end in time and name the process that does not answer", () =>
      Effect.gen(function*() {
        const sequencer = yield* Sequencer
        const publisher = yield* Publisher.open(Lines, { roomDeadline: "50 millis", ackDeadline: "50 millis" })
        yield* sequencer.pause
        yield* publisher.send(bytesOf("x"))
        const flushed = yield* Effect.flip(publisher.flush)
        assert.strictEqual(flushed._tag, "AckTimeout")
        assert.include(flushed.message, "the sequencer, which runs in this process, makes no progress")
        const sent = yield* Effect.flip(Effect.forever(publisher.send(new Uint8Array(4096))))
        assert.strictEqual(sent._tag, "Backpressure")
        assert.include(sent.message, "the sequencer, which runs in this process, makes no progress")
        yield* sequencer.resume
        yield* publisher.flush
      }).pipe(Effect.scoped, provide))

    it.live("a session waits for the slot of a closed session, and for its deadline at most", () =>
      Effect.gen(function*() {
        const sequencer = yield* Sequencer
        yield* Effect.scoped(Effect.gen(function*() {
          for (let i = 0; i < smallGeometry.clients!; i += 1) yield* Publisher.open(Lines)
          yield* sequencer.pause
        }))
        const error = yield* Effect.flip(Publisher.open(Lines, { openDeadline: "20 millis" }))
        assert.isTrue(error._tag === "RegionError" && error.fault === "notAnswering", error.message)
        const opening = yield* Effect.forkChild(Publisher.open(Lines), { startImmediately: true })
        yield* sequencer.resume
        yield* Fiber.join(opening)
      }).pipe(Effect.scoped, provide))
  })
}
