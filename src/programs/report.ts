/**
 * How a program reports what it did: as text for people, as JSON for machines.
 */
import type * as Effect from "effect/Effect"
import { type OutputError, writeLine, writeNotice } from "./standard-streams.ts"

/** Prints the report on standard output. */
export const printReport = <Report>(
  json: boolean,
  report: Report,
  describe: (report: Report) => string
): Effect.Effect<void, OutputError> => writeLine(json ? JSON.stringify(report, undefined, 2) : describe(report))

/** The same on standard error, for programs whose standard output is their product. */
export const printReportAside = <Report>(
  json: boolean,
  report: Report,
  describe: (report: Report) => string
): Effect.Effect<void> => writeNotice(json ? JSON.stringify(report, undefined, 2) : describe(report))

/** One event of a running program: a line in either form. */
export const printEvent = <Event>(
  json: boolean,
  event: Event,
  describe: (event: Event) => string
): Effect.Effect<void, OutputError> => writeLine(json ? JSON.stringify(event) : describe(event))

/** Columns, each as wide as its widest cell. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)))
  const line = (row: ReadonlyArray<string>) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")
  return rows.map((row) => line(row).trimEnd()).join("\n")
}
