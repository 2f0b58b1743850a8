import { assert, describe, it } from "@effect/vitest"
import { rmSync } from "node:fs"
import { geometryArray } from "../../src/layers/native/region/FreeSpace.ts"
import { load, type Native, type RegionHandle, type SequencerHandle } from "../../src/native/binding.ts"
import { smallGeometry } from "../backends/log.ts"
import { native } from "../backends/native/log.ts"
import { takingOverSuite } from "../suites/log/takingOver.ts"

takingOverSuite(native)

const candidate = (region: RegionHandle): Promise<SequencerHandle> =>
  region.startSequencer(1000, true, false, 30_000, 0, 0, 0)

describe("candidates for a log (native)", () => {
  it("of two at once one is refused, and takes over when the other is gone", async () => {
    const path = `/dev/shm/test-candidates-${process.pid}`
    const addon = load() as Native
    const geometry = geometryArray(smallGeometry)
    try {
      const creator = await addon.createRegion(
        path,
        "creator",
        geometry,
        0o600,
        -1,
        true,
        -1,
        false,
        new addon.Progress()
      )
      for (let round = 0; round < 30; round += 1) {
        const regions = ["first", "second"].map((name) => addon.attachRegion(path, name, false))
        const trials = await Promise.allSettled(regions.map(candidate))
        const started = trials.flatMap((trial) => trial.status === "fulfilled" ? [trial.value] : [])
        assert.strictEqual(started.length, 1, `round ${round}`)
        started[0]!.stop(true)
        const refused = regions[trials.findIndex(({ status }) => status === "rejected")]!
        const next = await candidate(refused)
        next.stop(true)
        for (const region of regions) region.close()
      }
      creator.close()
    } finally {
      rmSync(path, { force: true })
    }
  })
})
