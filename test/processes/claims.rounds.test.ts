/**
 * Claims of slots and names while another process that claims is stopped, over real shared memory. The seed is printed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import * as Rings from "../../src/layers/Rings.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import { Ring } from "../../src/services/Ring.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { smallRings } from "../backends/ring.ts"
import { rounds } from "../rounds.ts"
import { type Actor, freshRegion, seeded, startActor } from "./harness.ts"
import { Stamped } from "./stamped.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000)
const random = seeded(seed)

const stops = rounds(15, 50)

const geometry = { ...smallRings, clients: 8, topics: 2, readers: 8, ringReaders: 2 }

const serving = (region: string) =>
  Layer.merge(Log.layerEmbedded({ topics: [Stamped.topic] }), Rings.layerNative).pipe(
    Layer.provideMerge(CxlMemory.layerShm({ region, geometry }))
  )

const startClaiming = (what: "sessions" | "names", region: string) => startActor("claimActor.ts", [what, region])

/** Lets the actor run for a moment, and stops it wherever it is then. */
const stopSomewhere = (actor: Actor) =>
  Effect.gen(function*() {
    yield* Effect.sleep(1 + random(15))
    actor.signal("SIGSTOP")
    yield* Effect.sleep(1)
  })

const openBoth = Effect.scoped(Effect.gen(function*() {
  yield* Subscriber.open(Stamped.topic, { from: "end" })
  yield* Publisher.open(Stamped.topic)
}))

describe(`claims over processes (seed ${seed})`, () => {
  it.live(
    `${stops} times a process is stopped while it claims sessions and readers, and no other is refused or held up`,
    () => {
      const region = freshRegion("claims")
      return Effect.gen(function*() {
        const actor = yield* startClaiming("sessions", region)
        yield* actor.ready
        for (let round = 0; round < stops; round += 1) {
          yield* stopSomewhere(actor)
          yield* Effect.timeout(openBoth, "1 second")
          actor.signal("SIGCONT")
        }
        assert.isFalse(actor.exited)
      }).pipe(Effect.scoped, Effect.provide(serving(region)))
    },
    60_000
  )

  it.live(
    "a process that is stopped while it gives a new name is named in time, known names go on, and so does it",
    () => {
      const region = freshRegion("names")
      return Effect.gen(function*() {
        const actor = yield* startClaiming("names", region)
        yield* actor.ready
        yield* Effect.scoped(Ring.writer({ name: "known" }))
        // Repeat until it is stopped while it holds the lock, when no new name can be given.
        let round = 0
        for (let isHeldUp = false; !isHeldUp; round += 1) {
          assert.isBelow(round, 2000)
          yield* stopSomewhere(actor)
          const given = yield* Effect.exit(
            Effect.timeout(Effect.scoped(Ring.writer({ name: `mine ${round}` })), "20 millis")
          )
          isHeldUp = Exit.isFailure(given)
          if (!isHeldUp) actor.signal("SIGCONT")
        }
        const fresh = Effect.scoped(Ring.writer({ name: "fresh" }))
        yield* Effect.timeout(openBoth, "1 second")

        const started = Date.now()
        const interrupted = yield* Effect.flip(Effect.timeout(fresh, "200 millis"))
        assert.strictEqual(interrupted._tag, "TimeoutError")
        assert.isBelow(Date.now() - started, 1000)

        const refused = yield* Effect.flip(Effect.timeout(fresh, "10 seconds"))
        assert.strictEqual(refused._tag, "RegionError")
        if (refused._tag !== "RegionError") return
        assert.strictEqual(refused.fault, "busy")
        assert.include(refused.message, `"claimer" (pid ${actor.pid})`)
        assert.include(refused.message, "within 3.00 s")

        actor.signal("SIGCONT")
        yield* Effect.timeout(fresh, "3 seconds")
      }).pipe(Effect.scoped, Effect.provide(serving(region)))
    },
    60_000
  )
})
