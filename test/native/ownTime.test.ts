/**
 * What counts of the time that a process waits for another one.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { ownTime } from "../../src/layers/native/region/OwnTime.ts"

describe("the time of a wait", () => {
  it.effect("counts whole while the process looks again and again", () =>
    Effect.gen(function*() {
      const { look } = yield* ownTime
      for (let i = 0; i < 30; i += 1) {
        yield* TestClock.adjust(100)
        yield* look
      }
      assert.strictEqual(yield* look, 3000)
    }))

  it.effect("counts little of a stop of the process itself", () =>
    Effect.gen(function*() {
      const { look } = yield* ownTime
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* look, 250)
    }))
})
