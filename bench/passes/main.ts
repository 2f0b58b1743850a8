/**
 * `npm run bench -- passes`: measures a pass of the sequencer with one session, in regions of several sizes.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { printReport, table } from "../../src/programs/cli/report.ts"
import { configured, flagsOf, jsonSetting, printConfigFlag } from "../../src/programs/cli/settings.ts"
import { describeEnvironment, type Environment, environment } from "../../src/programs/measure/environment.ts"
import { runsSetting } from "../harness/command.ts"
import * as Machine from "../machine/Machine.ts"

const settings = { runs: runsSetting, json: jsonSetting }

export const benchPasses = Command.make(
  "passes",
  { ...flagsOf(settings), printConfig: printConfigFlag },
  (input) => configured(settings, input, ({ values }) => measure(values.runs, values.json))
).pipe(
  Command.withDescription("Measures what a pass of the sequencer costs with one session, by the size of the region"),
  Command.withShortDescription("Cost of a pass of the sequencer")
)

// --- internal ---

interface PassRow extends Machine.PassCost {
  readonly brokers: number
  readonly clients: number
}

interface PassReport {
  readonly program: "bench passes"
  readonly environment: Environment
  /** Nanoseconds, the least of all runs. */
  readonly passes: ReadonlyArray<PassRow>
}

const sizes = [[4, 8], [8, 32], [32, 64], [32, 256]] as const

const measure = Effect.fnUntraced(function*(runs: number, json: boolean) {
  const passes = yield* Effect.forEach(sizes, ([brokers, clients]) => leastOf(brokers, clients, runs))
  const report: PassReport = { program: "bench passes", environment: environment(), passes }
  yield* printReport(json, report, describe)
})

const leastOf = Effect.fnUntraced(function*(brokers: number, clients: number, runs: number) {
  const costs: Array<Machine.PassCost> = []
  for (let run = 0; run < runs; run += 1) costs.push(yield* Machine.passCost(brokers, clients))
  const least = (of: (cost: Machine.PassCost) => number) => Math.min(...costs.map(of))
  return {
    brokers,
    clients,
    idleNanos: least(({ idleNanos }) => idleNanos),
    batchNanos: least(({ batchNanos }) => batchNanos),
    wholeNanos: least(({ wholeNanos }) => wholeNanos)
  } satisfies PassRow
})

const describe = ({ environment, passes }: PassReport): string =>
  [
    "",
    describeEnvironment(environment),
    "nanoseconds of a pass with one session, the least of all runs",
    "",
    table([
      ["brokers x sessions", "idle", "one batch, published and ordered", "idle, looking at everything"],
      ...passes.map(({ batchNanos, brokers, clients, idleNanos, wholeNanos }) => [
        `${brokers} x ${clients}`,
        idleNanos.toFixed(0),
        batchNanos.toFixed(0),
        wholeNanos.toFixed(0)
      ])
    ])
  ].join("\n")
