#!/usr/bin/env node
/**
 * The benchmarks: measures the log, rings, calls and barriers, together with the machine's limits and with rivals.
 * `node bench/main.ts report|log|ring|rpc|barrier|takeover|verbs|passes`.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { benchTakeover } from "../src/programs/bench/takeover/command.ts"
import { ChecksFailed, codeOfChecks } from "../src/programs/cli/checks.ts"
import { removeLeftovers } from "../src/programs/cli/region-plan.ts"
import { printReport } from "../src/programs/cli/report.ts"
import { runCommand } from "../src/programs/cli/run-command.ts"
import {
  configured,
  flagsOf,
  jsonSetting,
  openSetting,
  printConfigFlag,
  setting,
  type ValuesOf
} from "../src/programs/cli/settings.ts"
import { countFlag } from "../src/programs/cli/units.ts"
import { lines } from "../src/programs/cli/usage.ts"
import { benchBarrier } from "./barrier/main.ts"
import { runsSetting } from "./harness/command.ts"
import { growthAxes } from "./log/growth.ts"
import * as BenchReport from "./log/report.ts"
import { defaultGroups, groupNames, measureRound, type Round } from "./log/round.ts"
import { benchPasses } from "./passes/main.ts"
import { benchReport } from "./report/main.ts"
import { benchRing } from "./ring/main.ts"
import { benchRpc } from "./rpc/main.ts"
import { benchVerbs } from "./verbs/main.ts"

const mebibyte = 1024 * 1024

const settings = {
  mib: setting("mib", (name) => countFlag(name, mebibyte), {
    description: "Mebibytes to carry in each measurement",
    fallback: 1024
  }),
  runs: runsSetting,
  only: openSetting("only", (name) => Flag.Literals(name, [...groupNames, "growth"]), {
    description:
      "Measure only one group; steady takes more than a minute a run, growth: brokers, publishers, readers and sessions",
    shown: "all but steady"
  }),
  json: jsonSetting
}

const log = Command.make(
  "log",
  { ...flagsOf(settings), printConfig: printConfigFlag },
  (input) => configured(settings, input, ({ values }) => benchmark(values))
).pipe(
  Command.withDescription(
    lines(
      "Measures one publisher process and one subscriber process over four brokers, beside the machine's own copy limit.",
      "How near the machine's cores are to each other changes every figure: compare figures under one placement only.",
      "durable, beside, history and steady write files below the temporary folder (TMPDIR): name one on the device to measure."
    )
  ),
  Command.withShortDescription("Throughput and latency of the log")
)

const benchmark = Effect.fnUntraced(function*({ json, mib, only, runs }: ValuesOf<typeof settings>) {
  yield* removeLeftovers("bench-")
  const groups = only === undefined ? defaultGroups : only === "growth" ? growthAxes : [only]
  const rounds: Array<Round> = []
  for (let run = 1; run <= runs; run += 1) {
    rounds.push(yield* measureRound(`run ${run} of ${runs}`, mib * mebibyte, groups))
  }
  const report = BenchReport.report(mib * mebibyte, rounds)
  yield* printReport(json, report, BenchReport.describe, codeOfChecks(report.disagreeing.length === 0))
  if (report.disagreeing.length > 0) {
    return yield* new ChecksFailed({ program: "bench log", failed: report.disagreeing })
  }
})

const bench = Command.make("bench").pipe(
  Command.withDescription("Measures the log, rings, calls and barriers on this machine; without a command: report"),
  Command.withSubcommands([benchReport, log, benchRing, benchRpc, benchBarrier, benchTakeover, benchVerbs, benchPasses])
)

// Without a command, all of it.
if (process.argv.length === 2) process.argv.push("report")
runCommand(bench)
