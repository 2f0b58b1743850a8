/**
 * The report of the log soak: all records delivered in order, every byte right, memory bounded.
 */
import { type Check, check, checkLine } from "../../src/programs/cli/checks.ts"
import type { RegionPlan } from "../../src/programs/cli/region-plan.ts"
import { formatBytes, formatCount } from "../../src/programs/cli/units.ts"
import { checksOf, type Figures, figuresOf } from "../../src/programs/log-trial/checks.ts"
import { brokerTable, figureLines } from "../../src/programs/log-trial/report.ts"
import type { LogOutcome } from "../../src/programs/log-trial/run.ts"
import { recordBytes } from "../../src/programs/log-trial/session-content.ts"
import { peakResidentBytes } from "../../src/programs/measure/cpu-usage.ts"
import type { Published, Seen } from "./log-jobs.ts"

export type LogSoakOutcome = LogOutcome<Published, Seen>

export interface LogSoakReport extends Figures {
  readonly program: "soak-log"
  readonly passed: boolean
  readonly checks: ReadonlyArray<Check>
  readonly region: { readonly path: string; readonly bytes: number }
  readonly memory: ReadonlyArray<MemoryRow>
}

export interface MemoryRow {
  readonly process: string
  readonly peakResidentBytes: number
  readonly boundBytes: number
}

/** Memory that a process may take besides the region, for any amount of records: the runtime and its young heap. */
const processBytes = 256 * 1024 * 1024

export const report = (region: RegionPlan, records: number, outcome: LogSoakOutcome): LogSoakReport => {
  const amount = { records, bytes: records * recordBytes }
  const memory = memoryRows(region, outcome)
  const checks = [...checksOf(amount, outcome), everyByteRight(outcome), memoryBounded(memory)]
  return {
    program: "soak-log",
    passed: checks.every(({ holds }) => holds),
    checks,
    region: { path: region.path, bytes: region.bytes },
    ...figuresOf(amount, outcome),
    memory
  }
}

export const describe = (report: LogSoakReport): string =>
  [
    "",
    ...figureLines(report),
    "",
    ...brokerTable(report.brokers),
    "",
    ...report.memory.map(({ boundBytes, peakResidentBytes, process }) =>
      `memory of ${process.padEnd(14)} at most ${formatBytes(peakResidentBytes)} resident (bound ${
        formatBytes(boundBytes)
      })`
    ),
    "",
    ...report.checks.map(checkLine)
  ].join("\n")

// --- internal ---

const memoryRows = (region: RegionPlan, { publishers, subscribers }: LogSoakOutcome): ReadonlyArray<MemoryRow> => {
  const boundBytes = region.bytes + processBytes
  const children = [...publishers, ...subscribers].map(({ name, result }) => ({
    process: name,
    peakResidentBytes: result.residentBytes,
    boundBytes
  }))
  return [{ process: "serve", peakResidentBytes: peakResidentBytes(), boundBytes }, ...children]
}

const everyByteRight = ({ subscribers }: LogSoakOutcome): Check => {
  const wrong = subscribers.reduce((sum, { result }) => sum + result.wrong, 0)
  return check("every byte is right", wrong === 0, `${formatCount(wrong)} records are wrong`)
}

const memoryBounded = (memory: ReadonlyArray<MemoryRow>): Check => {
  const most = Math.max(...memory.map(({ peakResidentBytes }) => peakResidentBytes))
  return check(
    "memory is bounded by the region",
    memory.every(({ boundBytes, peakResidentBytes }) => peakResidentBytes <= boundBytes),
    `at most ${formatBytes(most)} resident in any process`
  )
}
