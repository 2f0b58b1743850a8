/**
 * Order `none` over real shared memory, with processes that are killed or stopped in mid-stream. The seed is printed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
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
  sending,
  serving,
  stoppingSubscriber,
  withinOneSecond
} from "./kills.ts"
import { Stamped } from "./stamped.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000)
const random = seeded(seed)

const kills = rounds(4, 25)

const served = (region: string) => serving(region, Stamped.unordered)

/** Reads and checks all records until the test's scope closes. */
const following = Effect.gen(function*() {
  const subscriber = yield* Subscriber.open(Stamped.unordered, { name: "follower" })
  const checker = new Stamped.LanesChecker()
  yield* Effect.forkScoped(Effect.forever(Effect.map(subscriber.pull, (batches) => {
    for (const batch of batches) checker.batch(batch)
  })))
  return checker
})

describe(`order none under kills (seed ${seed})`, () => {
  it.live(
    `what a killed publisher has published arrives, all of it once, and its lanes come free, ${kills} times`,
    () => {
      const region = freshRegion("none-publishers")
      return Effect.gen(function*() {
        const checker = yield* following
        const survivor = yield* start("publish", region, { order: "none" })
        const { sessionId: surviving } = yield* survivor.ready
        for (let round = 0; round < kills; round += 1) {
          yield* Effect.scoped(Effect.gen(function*() {
            // The region has two session slots: the survivor's, and that of the victims, one after the other.
            const victim = yield* start("publish", region, { order: "none", skewMillis: round % 2 === 0 ? 0 : 2 })
            const { sessionId } = yield* victim.ready
            yield* victim.acknowledged(1 + random(3000))
            const ended = yield* nextEvent(endOf(sessionId))
            victim.signal("SIGKILL")
            yield* victim.exit
            const event = yield* withinOneSecond(Fiber.join(ended))
            assert.isTrue(event._tag === "Some" && event.value._tag === "SessionEnded" && event.value.reason === "died")
            if (event._tag !== "Some" || event.value._tag !== "SessionEnded") return
            assert.strictEqual(checker.bySession.get(sessionId), event.value.committedMessages)
            const before = checker.bySession.get(surviving) ?? 0
            while ((checker.bySession.get(surviving) ?? 0) <= before) yield* Effect.sleep(1)
          }))
          assert.isFalse(survivor.exited)
        }
      }).pipe(Effect.scoped, Effect.provide(served(region)))
    },
    180_000
  )

  it.live(`a killed subscriber stops holding publishers within a second, ${kills} times`, () => {
    const region = freshRegion("none-subscribers")
    return Effect.gen(function*() {
      const checker = yield* following
      const publisher = yield* killingSubscribers(region, Stamped.unordered, kills, random)
      publisher.seal()
      while (checker.records < publisher.accepted()) yield* Effect.sleep(1)
    }).pipe(Effect.scoped, Effect.provide(served(region)))
  }, 180_000)

  it.live("a stopped subscriber makes publishers wait, by name, and misses nothing when it continues", () => {
    const region = freshRegion("none-stopped")
    return stoppingSubscriber(region, Stamped.unordered, 0).pipe(Effect.scoped, Effect.provide(served(region)))
  }, 60_000)

  it.live(
    "a session that waits for a subscriber to take its records ends within a second of that subscriber's death",
    () => {
      const region = freshRegion("none-ends")
      return Effect.gen(function*() {
        const actor = yield* start("subscribe", region, { name: "sleeper", order: "none" })
        yield* actor.ready
        actor.signal("SIGSTOP")
        const { sessionId } = yield* Effect.scoped(Effect.gen(function*() {
          const { publisher, send } = yield* sending(Stamped.unordered)
          for (let i = 0; i < 100; i += 1) yield* send
          return publisher
        }))
        const ended = yield* nextEvent(endOf(sessionId))
        yield* Effect.sleep(300)
        assert.isUndefined(ended.pollUnsafe())
        actor.signal("SIGKILL")
        yield* actor.exit
        const event = yield* withinOneSecond(Fiber.join(ended))
        assert.isTrue(event._tag === "Some" && event.value._tag === "SessionEnded" && event.value.reason === "closed")
      }).pipe(Effect.scoped, Effect.provide(served(region)))
    },
    60_000
  )

  it.live("an opening that finds only closed sessions of a stopped subscriber names that process", () => {
    const region = freshRegion("none-slots")
    return Effect.gen(function*() {
      const actor = yield* start("subscribe", region, { name: "sleeper", order: "none" })
      yield* actor.ready
      actor.signal("SIGSTOP")
      const { clients } = geometry
      for (let i = 0; i < clients; i += 1) {
        yield* Effect.scoped(Effect.flatMap(sending(Stamped.unordered), ({ send }) => send))
      }
      const error = yield* Effect.flip(Publisher.open(Stamped.unordered, { openDeadline: "300 millis" }))
      assert.isTrue(error._tag === "RegionError" && error.fault === "full", error.message)
      assert.include(error.message, `whose records subscriber "sleeper" (pid ${actor.pid}) has not taken`)
      assert.include(error.message, `\`kill -CONT ${actor.pid}\` continues it, if it is stopped`)
      actor.signal("SIGCONT")
      yield* Publisher.open(Stamped.unordered)
    }).pipe(Effect.scoped, Effect.provide(served(region)))
  }, 60_000)

  it.live("when the server is killed, subscribers take what was published, and learn of it within a second", () => {
    const region = freshRegion("none-server")
    const client = Log.layerClient({ serverDeadline: 0 }).pipe(Layer.provideMerge(CxlMemory.layerAttach({ region })))
    return Effect.scoped(Effect.gen(function*() {
      const server = yield* start("serve", region, { geometry })
      yield* server.ready
      yield* Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Stamped.unordered)
        const { publisher, send } = yield* sending(Stamped.unordered)
        const checker = new Stamped.LanesChecker()
        for (let i = 0; i < 1000; i += 1) yield* send
        publisher.seal()
        server.signal("SIGKILL")
        yield* server.exit
        const lost = yield* withinOneSecond(Effect.flip(Effect.forever(Effect.map(subscriber.pull, (batches) => {
          for (const batch of batches) checker.batch(batch)
        }))))
        assert.isTrue(lost instanceof RegionLost && lost.reason === "died")
        assert.strictEqual(checker.records, 1000)
      }).pipe(Effect.scoped, Effect.provide(client))
      // The next owner removes what the killed one left, and leaves nothing itself.
      yield* Effect.scoped(Layer.build(CxlMemory.layerShm({ region, geometry, leftLog: "discard" })))
    }))
  }, 60_000)
})
