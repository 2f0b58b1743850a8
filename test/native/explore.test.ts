/**
 * The native protocols under schedules that the explorer chooses, over simulated memory: sixty at random of each
 * configuration. `explore.long.test.ts` has those of one deviation.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { build, explore, leavesPoints, protocols } from "./explorer.ts"

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

  for (const model of ["weak", "lines"]) {
    it(`finds no schedule at random that breaks a protocol: ${model}`, { timeout: 300_000 }, () => {
      const { output, status } = explore("--model", model, "--deviations", "0", "--random", "60")
      assert.strictEqual(status, 0, output)
      for (const protocol of protocols) assert.match(output, new RegExp(`^${protocol} .* all of 0 `, "m"))
    })

    for (const protocol of ["claims", "region", "bells"]) {
      it(
        `finds no schedule of one deviation that breaks the protocol, and kills and stops at each point: ${protocol}, ${model}`,
        { timeout: 300_000 },
        () => {
          const { output, status } = explore(
            "--model",
            model,
            "--protocol",
            protocol,
            "--deviations",
            "1",
            "--random",
            "0"
          )
          assert.strictEqual(status, 0, output)
          assert.match(output, new RegExp(`^${protocol} .* all of 1 `, "m"))
          assert.deepStrictEqual(leavesPoints(output), [])
        }
      )
    }
  }

  it("finds each write-back and each invalidation that is left out, by name", { timeout: 300_000 }, () => {
    const { output, status } = explore("--model", "lines", "--defects", "--seconds", "12")
    assert.strictEqual(status, 0, output)
    assert.match(output, /a mark is published without its write-back +found/)
  })
})
