/**
 * Processes that are killed or stopped in mid-stream, over real shared memory. The seed is printed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { existsSync } from "node:fs"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { RegionLost } from "../../src/services/CxlMemory.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { rounds } from "../rounds.ts"
import { freshRegion, seeded, start } from "./harness.ts"
import {
  endOf,
  geometry,
  killingSubscribers,
  nextEvent,
  serving,
  stoppingSubscriber,
  withinOneSecond
} from "./kills.ts"
import { Stamped } from "./stamped.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000)
const random = seeded(seed)

const kills = rounds(5, 30)

const served = (region: string) => serving(region, Stamped.topic)

/** Reads and checks all records until the test's scope closes. */
const following = Effect.gen(function*() {
  const subscriber = yield* Subscriber.open(Stamped.topic, { from: "start", name: "follower" })
  const checker = new Stamped.Checker()
  const reader = yield* Effect.forkScoped(Effect.forever(Effect.map(subscriber.pull, (batches) => {
    for (const batch of batches) checker.batch(batch)
  })))
  return { checker, reader, subscriber }
})

const killPublisher = (region: string, skewMillis: number) =>
  Effect.scoped(Effect.gen(function*() {
    const actor = yield* start("publish", region, { skewMillis })
    const { sessionId } = yield* actor.ready
    yield* actor.acknowledged(1 + random(3000))
    const ended = yield* nextEvent(endOf(sessionId))
    actor.signal("SIGKILL")
    yield* actor.exit
    const event = yield* withinOneSecond(Fiber.join(ended))
    assert.isTrue(event._tag === "Some" && event.value._tag === "SessionEnded" && event.value.reason === "died")
    const committed = event._tag === "Some" && event.value._tag === "SessionEnded" ? event.value.committedMessages : -1
    return { sessionId, committed }
  }))

describe(`kills (seed ${seed})`, () => {
  it.live("a publisher that waits for readers goes on when one attaches in another process, and counts none that died", () =>
    Effect.suspend(() => {
      const region = freshRegion("readers")
      return Effect.gen(function*() {
        const publisher = yield* Publisher.open(Stamped.topic)
        const waiting = yield* Effect.forkChild(publisher.awaitReaders(1), { startImmediately: true })
        const actor = yield* start("subscribe", region, { name: "awaited" })
        yield* actor.ready
        yield* withinOneSecond(Fiber.join(waiting))
        assert.deepStrictEqual(publisher.readers().map(({ name, pid }) => [name, pid]), [["awaited", actor.pid]])
        actor.signal("SIGKILL")
        yield* actor.exit
        yield* withinOneSecond(Effect.gen(function*() {
          while (publisher.readers().length > 0) yield* Effect.sleep(1)
        }))
      }).pipe(Effect.scoped, Effect.provide(served(region)))
    }))

  it.live(`a killed publisher ends at its committed prefix and its lanes come free, ${kills} times`, () => {
    const region = freshRegion("publishers")
    return Effect.gen(function*() {
      const { checker, subscriber } = yield* following
      const survivor = yield* start("publish", region, { skewMillis: 1 })
      yield* survivor.ready
      for (let round = 0; round < kills; round += 1) {
        // The region has two session slots: the survivor's, and that of the victims, one after the other.
        const { committed, sessionId } = yield* killPublisher(region, round % 2 === 0 ? 0 : 2)
        const before = checker.bySession.get(1) ?? 0
        while ((checker.bySession.get(sessionId) ?? 0) < committed || (checker.bySession.get(1) ?? 0) <= before) {
          yield* Effect.sleep(1)
        }
        assert.strictEqual(checker.bySession.get(sessionId), committed)
        assert.isFalse(survivor.exited)
      }
      const ended = yield* nextEvent(endOf(1))
      survivor.signal("SIGKILL")
      yield* Fiber.join(ended)
      const committed = subscriber.committedMessages()
      while (checker.records < committed) yield* Effect.sleep(1)
      assert.strictEqual([...checker.bySession.values()].reduce((a, b) => a + b, 0), committed)
    }).pipe(Effect.scoped, Effect.provide(served(region)))
  }, 180_000)

  it.live(`a killed subscriber stops holding publishers within a second, ${kills} times`, () => {
    const region = freshRegion("subscribers")
    return Effect.gen(function*() {
      const publisher = yield* killingSubscribers(region, Stamped.topic, kills, random)
      yield* publisher.flush
      assert.strictEqual(publisher.acknowledged(), publisher.accepted())
    }).pipe(Effect.scoped, Effect.provide(served(region)))
  }, 180_000)

  it.live("a stopped subscriber makes publishers wait, by name, and all goes on when it continues", () => {
    const region = freshRegion("stopped")
    return stoppingSubscriber(region, Stamped.topic, "5 seconds").pipe(Effect.scoped, Effect.provide(served(region)))
  }, 60_000)

  it.live(
    "a killed server ends its clients with RegionLost within a second, and the next start needs no manual step",
    () => {
      const region = freshRegion("server")
      const client = Log.layerClient({ serverDeadline: 0 }).pipe(Layer.provideMerge(CxlMemory.layerAttach({ region })))
      const round = Effect.scoped(Effect.gen(function*() {
        const server = yield* start("serve", region, { geometry })
        yield* server.ready
        yield* Effect.gen(function*() {
          const subscriber = yield* Subscriber.open(Stamped.topic, { from: "start" })
          const publisher = yield* Publisher.open(Stamped.topic)
          const reading = yield* Effect.forkChild(Effect.flip(Effect.forever(subscriber.pull)))
          const sending = yield* Effect.forkChild(Effect.flip(Effect.gen(function*() {
            const record = new Uint8Array(256)
            while (true) {
              Stamped.write(record, publisher.sessionId, publisher.accepted())
              yield* publisher.send(record)
              yield* publisher.flush
            }
          })))
          while (publisher.acknowledged() < 100) yield* Effect.sleep(1)
          server.signal("SIGKILL")
          yield* server.exit
          const errors = yield* withinOneSecond(Effect.all([Fiber.join(reading), Fiber.join(sending)]))
          for (const error of errors) assert.isTrue(error instanceof RegionLost && error.reason === "died")
        }).pipe(Effect.scoped, Effect.provide(client))
      }))
      return Effect.gen(function*() {
        for (let i = rounds(2, 5); i > 0; i -= 1) yield* round
        // The next owner removes the leftovers of the last one, and leaves nothing itself.
        assert.isTrue(existsSync(CxlMemory.regionPath(region)))
        yield* Effect.scoped(Layer.build(CxlMemory.layerShm({ region, geometry, leftLog: "discard" })))
        assert.isFalse(existsSync(CxlMemory.regionPath(region)))
      })
    },
    60_000
  )
})
