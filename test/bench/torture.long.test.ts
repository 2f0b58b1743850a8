/**
 * The torture at the length of a test: every kind of fault, and no broken promise.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { runEntry } from "../programs/snippet.ts"

describe.skipIf(process.platform !== "linux")("torture", () => {
  it.live("60 s of kills, stops and restarts of every part: every promise holds", () =>
    Effect.gen(function*() {
      const { code, stderr, text } = yield* runEntry("bench/torture/main", ["--seconds", "60", "--json"], "10 minutes")
      assert.strictEqual(code, 0, `${stderr}\n${text}`)
      const report = JSON.parse(text)
      assert.deepInclude(report, { program: "torture", passed: true })
      assert.isAbove(report.records, 0)
      for (const { kind, times } of report.faults) assert.isAbove(times, 0, kind)
    }), 610_000)
})
