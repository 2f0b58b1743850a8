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

  for (const protocol of ["ring", "log"]) {
    it(`finds no schedule that breaks the protocol: ${protocol}`, { timeout: 120_000 }, () => {
      const { output, status } = explore("--protocol", protocol, "--deviations", "1", "--random", "500")
      assert.strictEqual(status, 0, output)
      assert.match(output, new RegExp(`^${protocol} .* all of 1 `, "m"))
    })
  }
})
