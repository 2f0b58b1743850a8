/**
 * `npm run bench -- verbs`: measures the verbs of the publication discipline, beside the same instructions by hand.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { printReport, table } from "../../src/programs/cli/report.ts"
import { configured, flagsOf, jsonSetting, printConfigFlag } from "../../src/programs/cli/settings.ts"
import { describeEnvironment, type Environment, environment } from "../../src/programs/measure/environment.ts"
import { type Spread, spreadOf } from "../../src/programs/measure/spread.ts"
import { runsSetting } from "../harness/command.ts"
import * as Machine from "../machine/Machine.ts"

const settings = { runs: runsSetting, json: jsonSetting }

export const benchVerbs = Command.make(
  "verbs",
  { ...flagsOf(settings), printConfig: printConfigFlag },
  (input) => configured(settings, input, ({ values }) => measure(values.runs, values.json))
).pipe(
  Command.withDescription("Measures what publishing and observing cost, on coherent and on flushed memory"),
  Command.withShortDescription("Cost of publishing and observing")
)

// --- internal ---

interface VerbRow {
  readonly verb: string
  /** Nanoseconds, the least of each run. */
  readonly byHand: Spread
  readonly coherent: Spread
  readonly flushed: Spread | undefined
  /** The least of all runs over the least by hand. */
  readonly ratio: number
}

interface VerbReport {
  readonly program: "bench verbs"
  readonly environment: Environment
  readonly verbs: ReadonlyArray<VerbRow>
}

const measure = Effect.fnUntraced(function*(runs: number, json: boolean) {
  const costs: Array<Machine.VerbCost> = []
  for (let run = 0; run < runs; run += 1) costs.push(...(yield* Machine.verbCosts))
  const names = [...new Set(costs.map(({ verb }) => verb))]
  const verbs = names.map((verb) => rowOf(verb, costs.filter((cost) => cost.verb === verb)))
  const report: VerbReport = { program: "bench verbs", environment: environment(), verbs }
  yield* printReport(json, report, describe)
})

const rowOf = (verb: string, costs: ReadonlyArray<Machine.VerbCost>): VerbRow => {
  const spread = (values: ReadonlyArray<number>) => spreadOf(values) as Spread
  const byHand = spread(costs.map((cost) => cost.byHand))
  const coherent = spread(costs.map((cost) => cost.coherent))
  const flushed = spreadOf(costs.flatMap((cost) => cost.flushed < 0 ? [] : [cost.flushed]))
  return { verb, byHand, coherent, flushed, ratio: coherent.min / byHand.min }
}

const describe = ({ environment, verbs }: VerbReport): string => {
  const nanos = (spread: Spread | undefined) => spread === undefined ? "-" : spread.min.toFixed(2)
  return [
    "",
    describeEnvironment(environment),
    "nanoseconds, the least of all runs",
    "",
    table([
      ["verb", "by hand", "coherent", "ratio", "flushed"],
      ...verbs.map(({ byHand, coherent, flushed, ratio, verb }) => [
        verb,
        nanos(byHand),
        nanos(coherent),
        ratio.toFixed(3),
        nanos(flushed)
      ])
    ])
  ].join("\n")
}
