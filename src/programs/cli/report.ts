/**
 * Prints reports, as text or as JSON.
 */
import type * as Effect from "effect/Effect"
import { type OutputError, writeLine, writeNotice } from "./streams.ts"

/** The keys with which every report and every error begins as JSON, so that one parser reads both. */
export interface Envelope {
  readonly program: string
  /** The exit code is 0. */
  readonly ok: boolean
  readonly exitCode: number
}

/** A report, with the command that it belongs to. */
export interface Named {
  readonly program: string
}

export const envelopeOf = (program: string, exitCode: number): Envelope => ({ program, ok: exitCode === 0, exitCode })

/** Prints the report on standard output. `exitCode` is the code with which the program will end. */
export const printReport = <Report extends Named>(
  json: boolean,
  report: Report,
  describe: (report: Report) => string,
  exitCode = 0
): Effect.Effect<void, OutputError> =>
  writeLine(json ? JSON.stringify(enveloped(report, exitCode), undefined, 2) : describe(report))

/** The same as a line of JSON on standard error, for programs whose standard output carries records. */
export const printReportAside = (report: Named): Effect.Effect<void> =>
  writeNotice(JSON.stringify(enveloped(report, 0)))

/**
 * One event of a running program: a line in either form. It has a program and no exit code, since the program goes on.
 */
export const printEvent = <Event extends object>(
  json: boolean,
  program: string,
  event: Event,
  describe: (event: Event) => string
): Effect.Effect<void, OutputError> => writeLine(json ? eventLine(program, event) : describe(event))

/** The same on standard error. */
export const printEventAside = <Event extends object>(
  json: boolean,
  program: string,
  event: Event,
  describe: (event: Event) => string
): Effect.Effect<void> => writeNotice(json ? eventLine(program, event) : describe(event))

/** Columns, each as wide as its widest cell. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)))
  const line = (row: ReadonlyArray<string>) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")
  return rows.map((row) => line(row).trimEnd()).join("\n")
}

// --- internal ---

const enveloped = <Report extends Named>(report: Report, exitCode: number): Envelope & Report => ({
  ...envelopeOf(report.program, exitCode),
  ...report
})

const eventLine = (program: string, event: object): string => JSON.stringify({ program, ...event })
