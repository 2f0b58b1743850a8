/**
 * The report of `ringfence bench`: a line for each measurement, and the machine.
 */
import { availableParallelism, cpus, release } from "node:os"
import { table } from "../cli/report.ts"
import { formatCount, formatMicros, formatRate, plural } from "../cli/units.ts"
import type { Measured } from "./measurements.ts"

export interface BenchReport {
  readonly program: string
  readonly environment: {
    readonly node: string
    readonly kernel: string
    readonly processor: string
    readonly cores: number
  }
  readonly measured: ReadonlyArray<Measured>
}

export const reportOf = (measured: ReadonlyArray<Measured>): BenchReport => ({
  program: "bench",
  environment: {
    node: process.version,
    kernel: release(),
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism()
  },
  measured
})

export const describe = ({ environment, measured }: BenchReport): string => {
  const { cores, kernel, node, processor } = environment
  return [
    `${processor}, ${plural(cores, "core")}, Node ${node}, Linux ${kernel}`,
    "",
    table(measured.map((line) => [line.name, figureOf(line), line.what]))
  ].join("\n")
}

// --- internal ---

const figureOf = ({ gigabytesPerSecond, p50Micros, p99Micros, recordsPerSecond }: Measured): string =>
  gigabytesPerSecond === undefined
    ? `p50 ${formatMicros(p50Micros ?? 0)}, p99 ${formatMicros(p99Micros ?? 0)}`
    : `${formatRate(gigabytesPerSecond)}, ${formatCount(Math.round(recordsPerSecond ?? 0))} a second`
