/**
 * `ringfence bench`: measures log, rings, calls and barriers on this machine, in seconds. `bench takeover` takes minutes.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { describe, type MeasurementName, measurementNames, reportOf } from "./bench/report.ts"
import { benchTakeover } from "./bench/takeover/command.ts"
import { removeLeftovers } from "./cli/region-plan.ts"
import { printReport } from "./cli/report.ts"
import { configured, flagsOf, jsonSetting, openSetting, printConfigFlag, setting } from "./cli/settings.ts"
import { writeNotice } from "./cli/streams.ts"
import { lines } from "./cli/usage.ts"

const scaleFlag = (name: string) =>
  Flag.Finite(name).pipe(
    Flag.filter((scale) => scale > 0 && scale <= 1000, (scale) => `${scale} is not above 0 and at most 1,000`)
  )

const settings = {
  only: openSetting("only", (name) => Flag.Literals(name, measurementNames), {
    description: "Run only this measurement",
    shown: "all"
  }),
  scale: setting("scale", scaleFlag, {
    description: "Scale the measurements; all take about ten seconds at 1",
    fallback: 1
  }),
  json: jsonSetting
}

export const bench = Command.make(
  "bench",
  { ...flagsOf(settings), printConfig: printConfigFlag },
  (input) => configured(settings, input, ({ values }) => measure(values))
).pipe(
  Command.withDescription(
    lines(
      "Measures this machine: the log's throughput and acknowledgements, round trips over rings, calls, and barriers,",
      "each between processes of its own. How near the machine's cores are to each other, and how busy they are, changes",
      "every figure."
    )
  ),
  Command.withShortDescription("Measure this machine, in seconds"),
  Command.withExamples([
    { command: "ringfence bench", description: "All measurements" },
    { command: "ringfence bench --only barrier --json", description: "One measurement, as JSON" }
  ]),
  Command.withSubcommands([benchTakeover])
)

// --- internal ---

const measure = Effect.fnUntraced(function*(
  { json, only, scale }: { readonly json: boolean; readonly only: MeasurementName | undefined; readonly scale: number }
) {
  yield* removeLeftovers("bench-")
  // Loads the library of histograms, which no other command should wait for.
  const { measurements } = yield* Effect.promise(() => import("./bench/measurements.ts"))
  const measured = yield* Effect.forEach(
    only === undefined ? measurementNames : [only],
    (name) => Effect.andThen(writeNotice(`measuring: ${name}`), measurements[name](scale))
  )
  yield* printReport(json, reportOf(measured.flat()), describe)
})
