/**
 * The two families of rings side by side. `RINGFENCE_SEED` reproduces a run; fast-check prints the seed and the shrunk
 * history of a failure. `RINGFENCE_RUNS` makes it longer.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { memoryRings } from "../memory/ringFamily.ts"
import { commands } from "../suites/ringCommands.ts"
import { geometry, history } from "../suites/ringDifferential.ts"
import { smallRings } from "../suites/ringFamily.ts"
import { nativeRings } from "./ringFamily.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000_000)
const runs = Number(process.env["RINGFENCE_RUNS"] ?? 200)

const sizes = { ...smallRings, ...geometry }

describe(`the families of rings side by side (seed ${seed})`, () => {
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
