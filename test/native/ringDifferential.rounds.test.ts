/**
 * The two backends of rings side by side. `RINGFENCE_SEED` reproduces a run; fast-check prints the seed and the shrunk
 * history of a failure. `RINGFENCE_RUNS` makes it longer.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { memoryRings } from "../backends/memory/ring.ts"
import { nativeRings } from "../backends/native/ring.ts"
import { smallRings } from "../backends/ring.ts"
import { histories } from "../rounds.ts"
import { commands } from "../suites/ring/commands.ts"
import { geometry, history } from "../suites/ring/differential.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000_000)
const runs = histories(40, 200)

const sizes = { ...smallRings, ...geometry }

describe(`the backends of rings side by side (seed ${seed})`, () => {
  it("agree on every random history, and each keeps the contract", async () => {
    const property = fc.asyncProperty(commands, async (chosen) => {
      const ours = await Effect.runPromise(nativeRings.region(sizes, history(chosen)))
      const theirs = await Effect.runPromise(memoryRings.region(sizes, history(chosen)))
      for (const [i, step] of ours.seen.entries()) assert.deepStrictEqual(theirs.seen[i], step, `command ${i}`)
      assert.isUndefined(ours.broken)
      assert.isUndefined(theirs.broken)
    })
    await fc.assert(property, { seed, numRuns: runs, interruptAfterTimeLimit: 240_000 })
  }, 300_000)
})
