/**
 * `ringfence bench takeover`: how long the log's acknowledgements pause when its server is killed.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { ChecksFailed, codeOfChecks, namesOfFailed } from "../../cli/checks.ts"
import { removeLeftovers } from "../../cli/region-plan.ts"
import { printReport } from "../../cli/report.ts"
import { configured, flagsOf, jsonSetting, printConfigFlag, setting, type ValuesOf } from "../../cli/settings.ts"
import { writeNotice } from "../../cli/streams.ts"
import { countFlag, formatCount } from "../../cli/units.ts"
import { lines } from "../../cli/usage.ts"
import { describe, reportOf } from "./report.ts"
import { recover, takeOverUnderLoad } from "./run.ts"

const settings = {
  kills: setting("kills", (name) => countFlag(name, 100_000), {
    description: "How often to kill the serving process",
    fallback: 200
  }),
  recoveries: setting("recoveries", (name) => countFlag(name, 1000, 0), {
    description: "How often to measure the recovery of each number of kept batches; 0 leaves it out",
    fallback: 5
  }),
  json: jsonSetting
}

export const benchTakeover = Command.make(
  "takeover",
  { ...flagsOf(settings), printConfig: printConfigFlag },
  (input) => configured(settings, input, ({ values }) => measure(values))
).pipe(
  Command.withDescription(
    lines(
      "Kills the process that serves the log while a publisher loads it, each time with a standby, and measures the time",
      "from SIGKILL to the first new acknowledgement. Ends with exit code 1 if any record is lost or doubled. Then measures",
      "the recovery of a log that keeps many batches."
    )
  ),
  Command.withShortDescription("Pauses of a log whose server is killed")
)

// --- internal ---

const keptBatches = [8 * 1024, 1024 * 1024]

const measure = Effect.fnUntraced(function*({ json, kills, recoveries }: ValuesOf<typeof settings>) {
  yield* removeLeftovers("bench-")
  const load = yield* takeOverUnderLoad(kills)
  const recovered = yield* Effect.forEach(recoveries === 0 ? [] : keptBatches, (batches) =>
    Effect.andThen(
      writeNotice(`measuring: recovery of ${formatCount(batches)} kept batches`),
      recover(batches, recoveries)
    ))
  const report = reportOf(load, recovered)
  yield* printReport(json, report, describe, codeOfChecks(report.passed))
  if (!report.passed) {
    return yield* new ChecksFailed({ program: report.program, failed: namesOfFailed(report.checks) })
  }
})
