/**
 * `ringfence bench takeover` at a test size: servers are killed under load, and no record is lost or doubled.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { filesOf, run, start } from "./harness.ts"

interface Percentiles {
  readonly p50: number
  readonly p95: number
  readonly p98: number
  readonly max: number
}

const minute = 60_000

describe.skipIf(process.platform !== "linux")("bench takeover", () => {
  it.live(
    "E14 kills servers under load: nothing is lost or doubled, and the pauses are reported",
    () =>
      Effect.gen(function*() {
        const program = yield* start(["bench", "takeover", "--kills", "4", "--recoveries", "0", "--json"], {
          patience: "50 seconds"
        })
        assert.strictEqual(yield* program.code, 0, program.stderr)
        const report = JSON.parse(program.text) as Readonly<Record<string, unknown>>
        assert.deepInclude(report, { program: "bench takeover", ok: true, passed: true, kills: 4, recoveries: [] })
        assert.isAbove(report["records"] as number, 0)
        const { max, p50, p95, p98 } = report["pauseMillis"] as Percentiles
        assert.isAbove(p50, 0)
        assert.deepStrictEqual([p50, p95, p98, max].toSorted((a, b) => a - b), [p50, p95, p98, max])
        assert.isAtMost((report["recoveryMillis"] as Percentiles).max, max)
        assert.deepStrictEqual(filesOf(`bench-${program.pid}`), [])
      }),
    minute
  )

  it.live("refuses no kills", () =>
    Effect.gen(function*() {
      const none = yield* run(["bench", "takeover", "--kills", "0"])
      assert.match(none.stderr, /0 is not between 1 and 100,000/)
      assert.strictEqual(none.code, 2)
    }))
})
