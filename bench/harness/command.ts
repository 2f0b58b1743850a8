/**
 * The flags of a benchmark command, and its run.
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { ChecksFailed, codeOfChecks } from "../../src/programs/cli/checks.ts"
import { removeLeftovers } from "../../src/programs/cli/region-plan.ts"
import { printReport } from "../../src/programs/cli/report.ts"
import { setting } from "../../src/programs/cli/settings.ts"
import { countFlag } from "../../src/programs/cli/units.ts"
import { type Benchmark, describe, measure } from "./comparison.ts"

export const runsSetting = setting("runs", (name) => countFlag(name, 1000), {
  description: "How often to measure everything; with more than one run, medians and ranges are reported",
  fallback: 1
})

export const attemptsSetting = setting("attempts", (name) => countFlag(name, 100), {
  description: "The most attempts to measure a group when the placement of the cores changes meanwhile",
  fallback: 4
})

export const strategySetting = setting("strategy", (name) => Flag.Literals(name, ["spin", "adaptive", "park"]), {
  description: "How members wait for messages",
  fallback: "park"
})

/** Measures and prints the report. Of its results, only wrong data makes it fail. */
export const benchmark = Effect.fnUntraced(function*<E, R>(json: boolean, of: Benchmark<E, R>) {
  yield* removeLeftovers("bench-")
  const report = yield* measure(of)
  yield* printReport(json, report, describe, codeOfChecks(report.disagreeing.length === 0))
  if (report.disagreeing.length > 0) return yield* new ChecksFailed({ program: of.program, failed: report.disagreeing })
})
