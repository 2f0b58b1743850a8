/**
 * The two backends side by side. `RINGFENCE_SEED` reproduces a run; fast-check prints the seed and the shrunk history
 * of a failure. `RINGFENCE_RUNS` makes it longer.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { memory } from "../backends/memory/log.ts"
import { native } from "../backends/native/log.ts"
import { histories } from "../rounds.ts"
import { brokenPromise, command, geometry, history } from "../suites/log/differential.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000_000)
const runs = histories(60, 300)

describe(`the backends side by side (seed ${seed})`, () => {
  it("agree on every random history, and each keeps the contract", async () => {
    const property = fc.asyncProperty(
      fc.array(command, { minLength: 20, maxLength: 150, size: "max" }),
      async (commands) => {
        const [ours, theirs] = await Effect.runPromise(
          Effect.all([native.manual(geometry, history(commands)), memory.manual(geometry, history(commands))])
        )
        for (const [i, step] of ours.seen.entries()) assert.deepStrictEqual(theirs.seen[i], step, `command ${i}`)
        assert.deepStrictEqual(theirs.final, ours.final)
        assert.deepStrictEqual(theirs.streams, ours.streams)
        assert.isUndefined(brokenPromise(ours))
      }
    )
    await fc.assert(property, { seed, numRuns: runs, interruptAfterTimeLimit: 240_000 })
  }, 300_000)
})
