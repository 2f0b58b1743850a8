/**
 * Topics whose places are given to others while processes start, end, and are killed, over real shared memory. The seed
 * is printed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { Diagnostics } from "../../src/services/Diagnostics.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { type Actor, freshRegion, seeded, startActor } from "./harness.ts"
import { exchange } from "./topicExchange.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000)
const random = seeded(seed)

const geometry = {
  brokers: 2,
  clients: 8,
  topics: 4,
  readers: 8,
  laneSlots: 64,
  laneBytes: 256 * 1024,
  batchBytes: 8192,
  indexEntries: 256,
  processes: 8
}

const serving = (region: string) =>
  Log.layerEmbedded({ topics: [Topic.make("named")] }).pipe(
    Layer.provideMerge(CxlMemory.layerShm({ region, geometry }))
  )

/** More names than there are places, but never so many in use. */
const names = 12

const startUsing = (region: string) => startActor("topicActor.ts", [region, String(names), String(random(1e6))])

const failureOf = (actor: Actor) =>
  Effect.flatMap(actor.told((message) => message._tag === "failed"), (failed) => Effect.die(JSON.stringify(failed)))

const rounds = (actor: Actor, count: number) => Effect.raceFirst(actor.acknowledged(count), failureOf(actor))

/** No place is lost: as many topics as there are places can be used at once. */
const allPlacesCanBeUsed = Effect.scoped(Effect.gen(function*() {
  for (const name of ["fresh0", "fresh1", "fresh2"]) yield* Publisher.open(Topic.make(name))
  const { topics } = yield* Diagnostics.use(({ snapshot }) => snapshot)
  assert.deepStrictEqual(topics.map(({ name }) => name).toSorted(), ["fresh0", "fresh1", "fresh2", "named"])
  const full = yield* Effect.flip(Subscriber.open(Topic.make("fresh3")))
  assert.isTrue(full._tag === "RegionError" && full.fault === "full", full.message)
}))

describe(`places of topics over processes (seed ${seed})`, () => {
  it.live("processes that use more topics than there are places get all of their records, and no others", () => {
    const region = freshRegion("places")
    return Effect.gen(function*() {
      const actors = yield* Effect.all([startUsing(region), startUsing(region)])
      for (const actor of actors) yield* rounds(actor, 1)
      for (let round = 0; round < 100; round += 1) yield* exchange(`name${random(names)}`, 1 + random(50))
      for (const actor of actors) yield* rounds(actor, 100)
      for (const actor of actors) {
        actor.signal("SIGKILL")
        yield* actor.exit
      }
      yield* allPlacesCanBeUsed
    }).pipe(Effect.scoped, Effect.provide(serving(region)))
  }, 60_000)

  it.live("ten times a process is killed while it declares and uses topics, and no place is lost", () => {
    const region = freshRegion("killed-places")
    return Effect.gen(function*() {
      for (let round = 0; round < 10; round += 1) {
        const actor = yield* startUsing(region)
        yield* rounds(actor, 1)
        yield* exchange(`name${random(names)}`, 20)
        yield* Effect.sleep(random(20))
        actor.signal("SIGKILL")
        yield* exchange(`name${random(names)}`, 20)
        yield* actor.exit
      }
      yield* allPlacesCanBeUsed
    }).pipe(Effect.scoped, Effect.provide(serving(region)))
  }, 120_000)

  it.live("a stopped process keeps the topic that it has open, and others are told that there is no place", () => {
    const region = freshRegion("stopped-places")
    return Effect.gen(function*() {
      for (const name of ["fresh0", "fresh1"]) yield* Publisher.open(Topic.make(name))
      const actor = yield* startUsing(region)
      yield* rounds(actor, 1)
      const stops = Effect.gen(function*() {
        let isHeld = false
        for (let round = 0; !isHeld; round += 1) {
          assert.isBelow(round, 500)
          yield* Effect.sleep(1 + random(10))
          actor.signal("SIGSTOP")
          const opened = yield* Effect.result(Effect.scoped(Publisher.open(Topic.make(`other${round}`))))
          isHeld = opened._tag === "Failure" && opened.failure._tag === "RegionError" && opened.failure.fault === "full"
          actor.signal("SIGCONT")
        }
      })
      yield* Effect.raceFirst(stops, failureOf(actor))
      yield* rounds(actor, 300)
    }).pipe(Effect.scoped, Effect.provide(serving(region)))
  }, 60_000)
})
