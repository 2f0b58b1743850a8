/**
 * The native protocols under schedules that the explorer chooses, over simulated memory: all of one deviation, and some of
 * more. `explore.long.test.ts` has all of two.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { build, explore } from "./explorer.ts"

describe.runIf(process.platform === "linux")("the explorer", () => {
  beforeAll(build, 600_000)

  it("shows of each memory model what it must allow, and never what it must forbid", () => {
    const { output, status } = explore("--litmus")
    assert.strictEqual(status, 0, output)
  })

  it("finds no schedule that breaks a ring", { timeout: 120_000 }, () => {
    const { output, status } = explore("--protocol", "ring", "--deviations", "1", "--random", "300")
    assert.strictEqual(status, 0, output)
    assert.match(output, /^ring +rename +weak .* all of 1 /m)
  })
})
