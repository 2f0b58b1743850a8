/**
 * The files of a replica through random crashes of the process and the machine, with failing writes and syncs between.
 * RINGFENCE_SEED chooses other ones.
 */
import { assert, describe, it } from "@effect/vitest"
import { runCrashes } from "../model/filesCrashes.ts"
import { histories } from "../rounds.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? 1)
const crashesOfRun = 100

describe(`the files of a replica, crashed at random (seed ${seed})`, () => {
  it("lose nothing that was reported as durable, and can always be opened", () => {
    const runs = histories(100, 2000)
    let [commits, failures, read] = [0, 0, 0]
    for (let i = 0; i < runs; i += 1) {
      const run = runCrashes(seed + i, crashesOfRun)
      commits += run.commits
      failures += run.failures
      read += run.read
    }
    console.log(`${runs * crashesOfRun} crashes, ${commits} commits, ${failures} failures, ${read} batches read again`)
    assert.isAbove(commits, crashesOfRun * runs)
  })
})
