/**
 * The report of `bench takeover`.
 */
import { type Check, check, checkLine } from "../../cli/checks.ts"
import { table } from "../../cli/report.ts"
import { formatBytes, formatCount, formatMillis, plural } from "../../cli/units.ts"
import type { TakeoverResult } from "../../log-trial/servers.ts"
import { describeEnvironment, type Environment, environment } from "../../measure/environment.ts"
import type { Load } from "./run.ts"

export interface Percentiles {
  readonly p50: number
  readonly p95: number
  readonly p98: number
  readonly max: number
}

export interface RecoveryRow {
  readonly keptBatches: number
  readonly recoveries: number
  readonly recoveryMillis: Percentiles
}

export interface TakeoverReport {
  readonly program: string
  readonly environment: Environment
  readonly passed: boolean
  readonly checks: ReadonlyArray<Check>
  readonly kills: number
  readonly records: number
  readonly bytes: number
  /** From SIGKILL to the first new acknowledgement, under load. */
  readonly pauseMillis: Percentiles
  /** The fraction of the pauses of at most half a second. */
  readonly withinHalfSecond: number
  /** The part of the pause that the recovery took. */
  readonly recoveryMillis: Percentiles
  /** Without load, by the number of kept batches. */
  readonly recoveries: ReadonlyArray<RecoveryRow>
}

export const reportOf = (
  load: Load,
  recoveries: ReadonlyArray<ReadonlyArray<TakeoverResult>>
): TakeoverReport => {
  const { published, seen, takeovers } = load
  const pauses = takeovers.map(({ pauseMillis }) => pauseMillis)
  const checks = checksOf(load)
  return {
    program: "bench takeover",
    environment: environment(),
    passed: checks.every(({ holds }) => holds),
    checks,
    kills: takeovers.length,
    records: published.records,
    bytes: seen.bytes,
    pauseMillis: percentilesOf(pauses),
    withinHalfSecond: pauses.filter((millis) => millis <= 500).length / pauses.length,
    recoveryMillis: percentilesOf(takeovers.map(({ recoveryMillis }) => recoveryMillis)),
    recoveries: recoveries.map((found) => ({
      keptBatches: Math.max(...found.map(({ keptBatches }) => keptBatches)),
      recoveries: found.length,
      recoveryMillis: percentilesOf(found.map(({ recoveryMillis }) => recoveryMillis))
    }))
  }
}

export const describe = (report: TakeoverReport): string =>
  [
    describeEnvironment(report.environment),
    "",
    `${plural(report.kills, "kill")} of the serving process under load; ${plural(report.records, "record")}, ${
      formatBytes(report.bytes)
    }`,
    "",
    table([
      ["", "p50", "p95", "p98", "max"],
      ["kill to acknowledgement", ...cells(report.pauseMillis)],
      ["of which recovery", ...cells(report.recoveryMillis)],
      ...report.recoveries.map(({ keptBatches, recoveryMillis }) => [
        `recovery of ${formatCount(keptBatches)} kept batches`,
        ...cells(recoveryMillis)
      ])
    ]),
    "",
    `within 500 ms: ${formatCount(Math.round(1000 * report.withinHalfSecond) / 10)} %`,
    "",
    ...report.checks.map(checkLine)
  ].join("\n")

// --- internal ---

const percentilesOf = (values: ReadonlyArray<number>): Percentiles => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (fraction: number) => sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)] ?? 0
  return { p50: at(0.5), p95: at(0.95), p98: at(0.98), max: at(1) }
}

const cells = ({ max, p50, p95, p98 }: Percentiles): ReadonlyArray<string> => [p50, p95, p98, max].map(formatMillis)

const checksOf = ({ published, seen }: Load): ReadonlyArray<Check> => {
  const { acknowledged, records } = published
  const sum = (count: "disordered" | "duplicates" | "missing") =>
    seen.sessions.reduce((total, session) => total + session[count], 0)
  const counts = `${formatCount(seen.records)} of ${formatCount(records)} records arrived`
  return [
    check(
      "everything is acknowledged",
      acknowledged === records,
      `${formatCount(acknowledged)} of ${formatCount(records)}`
    ),
    check("no record is lost", seen.records >= records && sum("missing") === 0, counts),
    check("no record is doubled", seen.records <= records && sum("duplicates") === 0, counts),
    check(
      "the order is dense, and the session's own",
      seen.sparse === 0 && sum("disordered") === 0,
      `${plural(seen.sparse, "gap")}, ${plural(sum("disordered"), "batch", "batches")} out of order`
    ),
    check("every byte is right", seen.wrong === 0, `${plural(seen.wrong, "wrong record")}`)
  ]
}
