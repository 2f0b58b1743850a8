/**
 * A child of the ring benchmark: many attachments that wait for a ring's messages until the process is killed.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { runChild } from "../../src/programs/processes/child.ts"
import { inRegion } from "../../src/programs/processes/ring-process.ts"
import { Ring } from "../../src/services/Ring.ts"
import { RingSleepers, type SleepersJob } from "./jobs.ts"

// A pull that parks arms its doorbell in the turn in which it begins, so the attachment sleeps when this returns.
const fallsAsleep = Effect.fnUntraced(function*({ region, ring }: SleepersJob, name: string) {
  const opened = yield* Deferred.make<void>()
  const sleeping = Effect.gen(function*() {
    const reader = yield* Ring.reader({ name: ring, readerName: name, strategy: "park" })
    yield* Deferred.succeed(opened, undefined)
    yield* reader.pull
  })
  const fiber = yield* Effect.forkScoped(sleeping.pipe(Effect.scoped, inRegion({ region, name })))
  yield* Effect.raceFirst(Deferred.await(opened), Effect.andThen(Fiber.join(fiber), Effect.never))
})

runChild(RingSleepers, (job, parent) =>
  Effect.gen(function*() {
    for (let i = 0; i < job.sleepers; i += 1) yield* fallsAsleep(job, `${job.name}-${i}`)
    yield* parent.ready
    return yield* Effect.never
  }).pipe(Effect.scoped))
