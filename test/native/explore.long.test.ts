/**
 * The native protocols under many more schedules than `explore.test.ts` has time for.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { build, explore } from "./explorer.ts"

describe.runIf(process.platform === "linux")("the explorer, for longer", () => {
  beforeAll(build, 600_000)

  it("finds no schedule of two deviations, and none at random, that breaks a ring", { timeout: 900_000 }, () => {
    const { output, status } = explore("--protocol", "ring", "--deviations", "2", "--random", "20000")
    assert.strictEqual(status, 0, output)
  })
})
