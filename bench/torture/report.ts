/**
 * The report of the torture: the faults with their counts and recoveries, and the verdict.
 */
import { type Check, check, checkLine } from "../../src/programs/cli/checks.ts"
import { table } from "../../src/programs/cli/report.ts"
import { formatCount, formatMillis } from "../../src/programs/cli/units.ts"
import { plural } from "../../src/services/text/quantities.ts"
import { faults } from "./faults/faults.ts"
import type { Missed } from "./verdict/lagging.ts"
import type { Verdict } from "./verdict/verdict.ts"

export interface Inflicted {
  readonly kind: string
  /** From the fault to the first record that went on. */
  readonly recoveryMillis: number
}

export interface TortureReport {
  readonly program: "torture"
  readonly passed: boolean
  readonly seed: number
  readonly seconds: number
  readonly records: number
  /** What the reader that may be lapped was told that it misses. */
  readonly missed: Missed
  readonly faults: ReadonlyArray<FaultRow>
  readonly checks: ReadonlyArray<Check>
}

export interface FaultRow {
  readonly kind: string
  readonly times: number
  readonly medianMillis: number
  readonly mostMillis: number
}

export interface Outcome {
  readonly seed: number
  readonly millis: number
  readonly inflicted: ReadonlyArray<Inflicted>
  /** Publishers that published late. */
  readonly delayed: number
  /** A run in which no reader was lapped has not tried what it is for. */
  readonly mustSeeGaps: boolean
  /** What did not go on after a fault. */
  readonly stuck: string | undefined
  readonly verdict: Verdict
}

export const report = ({ delayed, inflicted, millis, mustSeeGaps, seed, stuck, verdict }: Outcome): TortureReport => {
  const rows = Object.keys(faults).map((kind) => rowOf(kind, inflicted))
  const goesOn = check("the log goes on after each fault", stuck === undefined, stuck ?? "holds")
  const { missed } = verdict
  const isLapped = check(
    "a reader that may be lapped was, and was told so",
    !mustSeeGaps || missed.gaps > 0,
    `${plural(missed.records, "record")} in ${plural(missed.gaps, "gap")}`
  )
  const checks = [goesOn, ...verdict.checks, isLapped]
  return {
    program: "torture",
    passed: checks.every(({ holds }) => holds),
    seed,
    seconds: Math.round(millis / 1000),
    records: verdict.positions,
    missed,
    faults: [...rows, { kind: "publisher that publishes late", times: delayed, medianMillis: 0, mostMillis: 0 }],
    checks
  }
}

export const describe = (report: TortureReport): string => {
  const { missed } = report
  const rows = report.faults.map(({ kind, medianMillis, mostMillis, times }) => [
    kind,
    formatCount(times),
    medianMillis === 0 ? "" : formatMillis(medianMillis),
    mostMillis === 0 ? "" : formatMillis(mostMillis)
  ])
  return [
    "",
    table([["fault", "times", "recovery, median", "most"], ...rows]),
    "",
    ...report.checks.map(checkLine),
    "",
    `${plural(missed.records, "record")} dropped ahead of the reader that may be lapped, in ${
      plural(missed.gaps, "gap")
    }`,
    `${formatCount(report.records)} records in ${report.seconds} s, seed ${report.seed}: ${
      report.passed ? "every promise held" : "FAILED"
    }`
  ].join("\n")
}

// --- internal ---

const rowOf = (kind: string, inflicted: ReadonlyArray<Inflicted>): FaultRow => {
  const millis = inflicted.filter((one) => one.kind === kind).map((one) => one.recoveryMillis).toSorted((a, b) => a - b)
  const at = (fraction: number) => Math.round(millis[Math.floor(fraction * (millis.length - 1))] ?? 0)
  return { kind, times: millis.length, medianMillis: at(0.5), mostMillis: at(1) }
}
