/**
 * The native protocols under schedules that the explorer chooses, over simulated memory: all of one deviation, and some
 * of more. `explore.long.test.ts` has as many of two as it has time for.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { build, explore } from "./explorer.ts"

describe.runIf(process.platform === "linux")("the explorer", () => {
  beforeAll(build, 600_000)

  it("shows of each memory model what it must allow, and never what it must forbid", () => {
    const { output, status } = explore("--litmus")
    assert.strictEqual(status, 0, output)
  })

  it("shows the same of memory that must be flushed", () => {
    const { output, status } = explore("--litmus", "--model", "lines")
    assert.strictEqual(status, 0, output)
  })

  for (const protocol of ["ring", "log", "claims", "region", "replicas", "cursors", "bells"]) {
    it(`finds no schedule that breaks the protocol: ${protocol}`, { timeout: 300_000 }, () => {
      const { output, status } = explore("--protocol", protocol, "--deviations", "1", "--random", "100")
      assert.strictEqual(status, 0, output)
      assert.match(output, new RegExp(`^${protocol} .* all of 1 `, "m"))
    })
  }

  it("finds each defect that is planted", { timeout: 300_000 }, () => {
    const { output, status } = explore("--defects", "--seconds", "12")
    assert.strictEqual(status, 0, output)
  })

  for (const protocol of ["claims", "region", "bells"]) {
    it(`finds no schedule that breaks it on memory that must be flushed: ${protocol}`, { timeout: 300_000 }, () => {
      const { output, status } = explore(
        "--model",
        "lines",
        "--protocol",
        protocol,
        "--deviations",
        "1",
        "--random",
        "20"
      )
      assert.strictEqual(status, 0, output)
    })
  }

  it("finds each write-back and each invalidation that is left out, by name", { timeout: 300_000 }, () => {
    const { output, status } = explore("--model", "lines", "--defects", "--seconds", "12")
    assert.strictEqual(status, 0, output)
    assert.match(output, /a mark is published without its write-back +found/)
  })
})
