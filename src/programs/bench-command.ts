/**
 * What the benchmarks have in common as commands.
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { type Benchmark, describe, measure } from "./bench-comparison.ts"
import { ChecksFailed, codeOfChecks } from "./checks.ts"
import { setting } from "./config.ts"
import { countFlag } from "./quantities.ts"
import { removeLeftovers } from "./region-plan.ts"
import { printReport } from "./report.ts"

export const runsSetting = setting("runs", (name) => countFlag(name, 1000), {
  description: "How often to measure everything; with more than one, medians and ranges are reported",
  fallback: 1
})

export const attemptsSetting = setting("attempts", (name) => countFlag(name, 100), {
  description: "How often a group is measured when the placement of the cores flips meanwhile",
  fallback: 4
})

export const strategySetting = setting("strategy", (name) => Flag.Literals(name, ["spin", "adaptive", "park"]), {
  description: "How members wait for messages",
  fallback: "park"
})

/** Measures, and prints the report. Fails only when something did not arrive as it was sent. */
export const benchmark = Effect.fnUntraced(function*<E, R>(json: boolean, of: Benchmark<E, R>) {
  yield* removeLeftovers("bench-")
  const report = yield* measure(of)
  yield* printReport(json, report, describe, codeOfChecks(report.disagreeing.length === 0))
  if (report.disagreeing.length > 0) return yield* new ChecksFailed({ program: of.program, failed: report.disagreeing })
})
