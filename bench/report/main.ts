/**
 * `npm run bench`, or `npm run bench -- report`: measures throughput by message size, latencies and growth, beside the
 * machine's limits and rivals, and writes a page with charts and a file with every figure.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import { DiskError } from "../../src/layers/ports/Disk.ts"
import { ChecksFailed, codeOfChecks } from "../../src/programs/cli/checks.ts"
import { InputUnreadable } from "../../src/programs/cli/input-files.ts"
import { removeLeftovers } from "../../src/programs/cli/region-plan.ts"
import { printReport } from "../../src/programs/cli/report.ts"
import {
  configured,
  flagsOf,
  jsonSetting,
  openSetting,
  printConfigFlag,
  setting,
  type ValuesOf
} from "../../src/programs/cli/settings.ts"
import { countFlag } from "../../src/programs/cli/units.ts"
import { lines } from "../../src/programs/cli/usage.ts"
import { attemptsSetting, runsSetting } from "../harness/command.ts"
import { type ComparisonReport, measure, summarize } from "../harness/comparison.ts"
import { chartNames, comparisons } from "./measurements.ts"
import { pageOf } from "./page.ts"

const mebibyte = 1024 * 1024

const settings = {
  mib: setting("mib", (name) => countFlag(name, mebibyte), {
    description: "Mebibytes that the log carries in each measurement of throughput; a quarter of it for growth",
    fallback: 256
  }),
  trips: setting("trips", (name) => countFlag(name, 100_000_000), {
    description: "Round trips in each measurement of latency",
    fallback: 10_000
  }),
  runs: runsSetting,
  attempts: attemptsSetting,
  results: setting("results", (name) => Flag.String(name), {
    description: "The folder of the two files",
    fallback: "bench/results"
  }),
  only: openSetting("only", (name) => Flag.Literals(name, chartNames), {
    description: "Measure only this chart",
    shown: "all"
  }),
  former: openSetting("former", (name) => Flag.String(name), {
    description: "Adds the runs of this file of a former report",
    shown: "none"
  }),
  json: jsonSetting
}

export const benchReport = Command.make(
  "report",
  { ...flagsOf(settings), printConfig: printConfigFlag },
  (input) => configured(settings, input, ({ values }) => report(values))
).pipe(
  Command.withDescription(
    lines(
      "Measures the log and the rings beside the machine's limits, the means of Node.js and the packages of the registry that",
      "are installed: throughput by message size, latency by percentile, and growth. Writes DATE-report.html with charts and",
      "DATE-report.json with every figure. A run takes about three minutes."
    )
  ),
  Command.withShortDescription("Everything, as a page with charts")
)

// --- internal ---

const program = "bench report"

const report = Effect.fnUntraced(function*(
  { attempts, former, json, mib, only, results, runs, trips }: ValuesOf<typeof settings>
) {
  const files = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const before = former === undefined ? undefined : yield* formerReport(former)
  yield* removeLeftovers("bench-")
  const measured = yield* measure({
    program,
    runs,
    attempts,
    settings: { mib, trips },
    comparisons: comparisons({ totalBytes: mib * mebibyte, trips }, only),
    goals: []
  })
  const all = before === undefined ? measured : together(before, measured)
  const date = new Date(yield* Clock.currentTimeMillis).toISOString().slice(0, 10)
  const [page, figures] = ["html", "json"].map((end) => paths.join(results, `${date}-report.${end}`)) as [
    string,
    string
  ]
  yield* Effect.mapError(files.makeDirectory(results, { recursive: true }), diskError("make directory", results))
  const write = (path: string, text: string) =>
    Effect.mapError(files.writeFileString(path, text), diskError("write", path))
  yield* write(figures, `${JSON.stringify({ date, ...all }, undefined, 2)}\n`)
  yield* write(page, pageOf(all, date))
  const written = { program, page, figures, disagreeing: all.disagreeing }
  yield* printReport(json, written, () => `${page}\n${figures}`, codeOfChecks(all.disagreeing.length === 0))
  if (all.disagreeing.length > 0) return yield* new ChecksFailed({ program, failed: all.disagreeing })
})

const diskError = (op: DiskError["op"], path: string) => ({ reason }: PlatformError) =>
  new DiskError({ op, path, code: reason._tag })

const formerReport = Effect.fnUntraced(function*(path: string) {
  const unusable = (detail: string) => new InputUnreadable({ path, detail })
  const files = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(files.readFileString(path), ({ message }) => unusable(message))
  const report = yield* Effect.try({
    try: () => JSON.parse(text) as ComparisonReport,
    catch: () => unusable("this is not JSON")
  })
  if (report.program !== program || !Array.isArray(report.rounds)) {
    return yield* unusable("this is no file of `npm run bench -- report`")
  }
  return report
})

const together = (before: ComparisonReport, measured: ComparisonReport): ComparisonReport => {
  const rounds = [...before.rounds, ...measured.rounds]
  return {
    ...measured,
    settings: { ...measured.settings, runs: rounds.length },
    rounds,
    summary: summarize(rounds.flat(), []),
    disagreeing: [...new Set([...before.disagreeing, ...measured.disagreeing])]
  }
}
