/**
 * The timer that paces measurements: it keeps its rate, and leaves the cores to what is measured.
 */
import { assert, describe, it } from "@effect/vitest"
import { inModule } from "./snippet.ts"

const ticking = (everyMillis: number, ticks: number) =>
  inModule(
    "src/programs/measure/pacer",
    `const Effect = await import("effect/Effect")
     return Effect.runPromise(Effect.scoped(Effect.gen(function*() {
       const { beganMillis, tick } = yield* module.every(${everyMillis})
       const now = () => Number(process.hrtime.bigint()) / 1e6
       yield* tick
       const [began, before] = [now(), process.cpuUsage()]
       let early = 0
       for (let i = 0; i < ${ticks}; i += 1) {
         yield* tick
         if (Math.floor((now() - beganMillis) / ${everyMillis}) < i + 1) early += 1
       }
       const { system, user } = process.cpuUsage(before)
       return { millis: now() - began, cores: (system + user) / 1000 / (now() - began), early }
     })))`
  ) as { readonly millis: number; readonly cores: number; readonly early: number }

describe("pacer", () => {
  it("ticks at its rate, never before a tick is due, and sleeps between", () => {
    const { cores, early, millis } = ticking(2, 150)
    assert.strictEqual(early, 0)
    assert.isAtLeast(millis, 295)
    assert.isBelow(cores, 0.6)
  })

  it("ticks more often than the timers of Node.js", () => {
    // On a busy machine late ticks come as one: the best of three counts.
    const millis = [1, 2, 3].map(() => ticking(0.25, 200).millis)
    assert.isBelow(Math.min(...millis), 200)
  })
})
