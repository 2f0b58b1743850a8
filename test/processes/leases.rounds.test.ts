/**
 * Publishers in other processes that are stopped for longer than the lease, killed, or replaced by another process with
 * their identity: every record once. The seed is printed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { Sequencer, type SequencerEvent } from "../../src/services/Sequencer.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { untilStopped } from "../faults/stopped.ts"
import { rounds } from "../rounds.ts"
import { type Actor, type ActorMessage, freshRegion, seeded, startActor } from "./harness.ts"
import { geometry } from "./kills.ts"
import { Numbers } from "./numbers.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000)
const random = seeded(seed)

const serving = (region: string, lease: "200 millis" | "30 seconds") =>
  Log.layerEmbedded({ lease }).pipe(Layer.provideMerge(CxlMemory.layerShm({ region, geometry })))

/** Reads and checks all records until the test's scope closes. */
const following = Effect.gen(function*() {
  const subscriber = yield* Subscriber.open(Numbers.topic)
  const checker = new Numbers.Checker()
  const reading = yield* Effect.forkScoped(Effect.forever(Effect.map(subscriber.pull, (batches) => {
    for (const batch of batches) checker.batch(batch)
  })))
  const until = (records: number) =>
    Effect.raceFirst(
      Effect.gen(function*() {
        while (checker.records < records) yield* Effect.sleep(1)
      }),
      Fiber.join(reading)
    )
  return { checker, until }
})

/** The ends of sessions, as the server reports them. */
const ends = Effect.gen(function*() {
  const { events } = yield* Sequencer
  const found: Array<SequencerEvent & { readonly _tag: "SessionEnded" }> = []
  yield* Effect.forkScoped(
    Stream.runForEach(events, (event) => Effect.sync(() => event._tag === "SessionEnded" && found.push(event))),
    { startImmediately: true }
  )
  return found
})

const isDone = (message: ActorMessage): message is ActorMessage & { readonly _tag: "done" } => message._tag === "done"
const isFailed = (message: ActorMessage): message is ActorMessage & { readonly _tag: "failed" } =>
  message._tag === "failed"

describe.skipIf(process.platform !== "linux")(`leases and identities of processes (seed ${seed})`, () => {
  it.live("a publisher that is stopped for longer than its lease resumes by itself: every record once", () => {
    const region = freshRegion("lease")
    const stops = rounds(4, 30)
    return Effect.gen(function*() {
      const { checker, until } = yield* following
      const ended = yield* ends
      const count = 1500 * stops
      const actor = yield* startActor("resumingActor.ts", [region, String(count)])
      yield* actor.ready
      for (let round = 0; round < stops; round += 1) {
        yield* until(round * 1200 + 1 + random(1000))
        // Its batches are late by up to 30 ms, so nearly each stop leaves a gap; one without leaves the session alone.
        actor.signal("SIGSTOP")
        yield* untilStopped(actor.pid)
        yield* Effect.sleep(500)
        actor.signal("SIGCONT")
      }
      const { records } = yield* actor.told(isDone)
      assert.strictEqual(records, count)
      yield* until(count)
      const outlived = ended.filter(({ reason }) => reason === "outlived").length
      assert.isAbove(outlived, 0)
      assert.strictEqual(checker.records, count)
      yield* actor.exit
    }).pipe(Effect.scoped, Effect.provide(serving(region, "200 millis")))
  }, 120_000)

  it.live("a process that is killed and one that replaces it while it is stopped: every record once", () => {
    const region = freshRegion("replaced")
    const total = rounds(6, 40)
    return Effect.gen(function*() {
      const { checker, until } = yield* following
      const count = 1500 * total
      let actor: Actor = yield* startActor("resumingActor.ts", [region, String(count)])
      for (let round = 0; round < total; round += 1) {
        yield* actor.ready
        yield* until(Math.max(checker.records, round * 1000) + random(1000))
        const former = actor
        former.signal(round % 2 === 0 ? "SIGKILL" : "SIGSTOP")
        if (round % 2 === 1) yield* untilStopped(former.pid)
        actor = yield* startActor("resumingActor.ts", [region, String(count)])
        yield* actor.ready
        if (round % 2 === 0) continue
        former.signal("SIGCONT")
        const { error, message } = yield* former.told(isFailed)
        assert.strictEqual(error, "PublisherFenced", message)
      }
      const { records } = yield* actor.told(isDone)
      assert.strictEqual(records, count)
      yield* until(count)
    }).pipe(Effect.scoped, Effect.provide(serving(region, "30 seconds")))
  }, 120_000)
})
