/**
 * A clock that jumps: once all fibers have had their turns, a jump of one minute equals sixty of one second.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as Log from "../../src/layers/Log.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"

const Lines = Topic.make("lines")

/** The number of records that found room, and what the next record waited for. */
const filling = (steps: number, stepMillis: number) =>
  Effect.gen(function*() {
    yield* Subscriber.open(Lines, { from: "start" })
    const publisher = yield* Publisher.open(Lines)
    let sent = 0
    const sending = yield* Effect.forkScoped(Effect.forever(
      Effect.tap(publisher.send(new Uint8Array(3000)), () => Effect.sync(() => void (sent += 1)))
    ))
    // Let all fibers finish, as docs/testing.md says: otherwise the deadline may begin after the minute and never pass.
    for (let before = -1; before !== sent;) {
      before = sent
      yield* TestClock.adjust(0)
    }
    for (let step = 0; step < steps; step += 1) yield* TestClock.adjust(stepMillis)
    const { message } = yield* Effect.flip(Fiber.join(sending))
    return { sent, message }
  }).pipe(Effect.scoped, Effect.provide(Log.layerMemory()))

it.effect("a minute that passes at once leaves a publisher without room where sixty seconds leave it", () =>
  Effect.gen(function*() {
    const inSteps = yield* filling(60, 1000)
    assert.include(inSteps.message, "which has not released the batches lent to it")
    assert.deepStrictEqual(yield* filling(1, 60_000), inSteps)
  }))
