/**
 * Random histories of fences, in simulated worlds: messages sent before an arrival have arrived when a fence returns.
 *
 * Each run plays the same histories, so that it fails only for what has changed. `RINGFENCE_SEED` plays others, and
 * `RINGFENCE_RUNS` more or fewer: to look for rare ones, play ten thousand.
 */
import { assert, describe, it } from "vitest"
import { type Fault, faults } from "../model/faults.ts"
import { type FenceRun, runFences } from "../model/fenceModel.ts"
import { histories } from "../rounds.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? 1)
const runs = histories(300, 1000)

/** The number of runs within which a planted fault must show. The rarest takes about 40. */
const searched = 1000

/** Runs until a run breaks a promise. */
const search = async (fault: Fault, budget: number) => {
  const all: Array<FenceRun> = []
  for (let i = 0; i < budget; i += 1) {
    const run = await runFences(seed + i, fault)
    all.push(run)
    if (run.violations.length > 0) break
  }
  return all
}

describe(`random fences (seed ${seed})`, () => {
  it(`${runs} runs: nothing that was sent before an arrival comes after the fence`, async () => {
    const all = await search("none", runs)
    const broken = all.find(({ violations }) => violations.length > 0)
    assert.isUndefined(broken, JSON.stringify(broken))
    const sum = (of: (run: FenceRun) => number) => all.reduce((total, run) => total + of(run), 0)
    const [returns, checked] = [sum((run) => run.returns), sum((run) => run.checked)]
    const disturbances = sum((run) => run.disturbances)
    console.info(`${runs} runs: ${returns} fences, ${checked} messages looked for, ${disturbances} disturbances`)
    // The checker has checked enough fences.
    assert.isAbove(returns, runs * 5)
    assert.isAbove(checked, runs * 50)
    assert.isAbove(disturbances, runs)
  }, 240_000)

  for (const fault of faults.filter((each) => each !== "none")) {
    it(`finds the planted fault: ${fault}`, async () => {
      const all = await search(fault, searched)
      const found = all.at(-1)?.violations ?? []
      assert.isNotEmpty(found)
      console.info(`${fault}: found in run ${all.length}: ${found[0]}`)
    }, 120_000)
  }

  it("a seed gives the same run again", async () => {
    assert.deepStrictEqual(await runFences(seed, "none"), await runFences(seed, "none"))
  })
})
