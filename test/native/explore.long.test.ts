/**
 * The native protocols under many more schedules than `explore.test.ts` has time for.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { build, explore, leavesPoints, protocols } from "./explorer.ts"

describe.runIf(process.platform === "linux")("the explorer, for longer", () => {
  beforeAll(build, 600_000)

  // All of one deviation of the larger protocols take minutes (`npm run explore -- --protocol takeover --deviations 1 --random 0`):
  // of each of their configurations the first ones. A number and not a time, so that a busy machine runs the same.
  const schedules: Readonly<Record<string, string>> = { lanes: "600", takeover: "600", identity: "600" }

  for (const model of ["weak", "lines"]) {
    for (const protocol of protocols) {
      it(
        `finds no schedule of one deviation that breaks the protocol: ${protocol}, ${model}`,
        { timeout: 900_000 },
        () => {
          // `explore.test.ts` has those at random.
          const parameters = ["--model", model, "--deviations", "1", "--random", "0"]
          const limit = schedules[protocol] === undefined ? [] : ["--schedules", schedules[protocol]]
          const { output, status } = explore("--protocol", protocol, ...parameters, ...limit)
          assert.strictEqual(status, 0, output)
          if (limit.length > 0) {
            assert.match(output, new RegExp(`^${protocol} .* all of 0 .* 600 schedules`, "m"))
            return
          }
          assert.match(output, new RegExp(`^${protocol} .* all of 1 `, "m"))
          assert.notMatch(output, new RegExp(`^${protocol} .* all of 0 `, "m"))
          assert.deepStrictEqual(leavesPoints(output), [])
        }
      )
    }
  }

  // Too many for all of them: those that these seconds have room for, for each configuration. Without a limit they are
  // all made (`npm run explore -- --protocol claims --deviations 2`).
  for (const protocol of ["claims", "region"]) {
    it(`finds no schedule of up to two deviations that breaks the protocol: ${protocol}`, { timeout: 900_000 }, () => {
      const { output, status } = explore("--protocol", protocol, "--deviations", "2", "--random", "0", "--seconds", "2")
      assert.strictEqual(status, 0, output)
    })
  }
})
