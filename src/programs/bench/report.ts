/**
 * The report of `ringfence bench`: a line for each measurement, and the machine.
 */
import { table } from "../cli/report.ts"
import { formatCount, formatMicros, formatRate } from "../cli/units.ts"
import { describeEnvironment, type Environment, environment } from "../measure/environment.ts"
import type { LatencyHistogram } from "../measure/latency.ts"

/** The values of `--only`, in the order of the report. */
export const measurementNames = ["log", "round-trip", "call", "barrier"] as const
export type MeasurementName = typeof measurementNames[number]

/** One line of the report. */
export interface Measured {
  readonly name: string
  /** What was measured, and how often. */
  readonly what: string
  readonly gigabytesPerSecond?: number
  readonly recordsPerSecond?: number
  readonly p50Micros?: number
  readonly p99Micros?: number
  /** The whole distribution of a latency. */
  readonly latency?: LatencyHistogram
}

export interface BenchReport {
  readonly program: string
  readonly environment: Environment
  readonly measured: ReadonlyArray<Measured>
}

export const reportOf = (measured: ReadonlyArray<Measured>): BenchReport => ({
  program: "bench",
  environment: environment(),
  measured
})

export const describe = ({ environment, measured }: BenchReport): string =>
  [
    describeEnvironment(environment),
    "",
    table(measured.map((line) => [line.name, figureOf(line), line.what]))
  ].join("\n")

// --- internal ---

const figureOf = ({ gigabytesPerSecond, p50Micros, p99Micros, recordsPerSecond }: Measured): string =>
  gigabytesPerSecond === undefined
    ? `p50 ${formatMicros(p50Micros ?? 0)}, p99 ${formatMicros(p99Micros ?? 0)}`
    : `${formatRate(gigabytesPerSecond)}, ${formatCount(Math.round(recordsPerSecond ?? 0))} a second`
