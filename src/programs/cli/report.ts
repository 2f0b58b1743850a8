/**
 * Prints reports, as text or as JSON.
 */
import type * as Effect from "effect/Effect"
import { type OutputError, writeLine, writeNotice } from "./streams.ts"

/** The keys with which every report and every error begins as JSON, so that one parser reads both. */
export interface Envelope {
  readonly program: string
  /** Whether the exit code is 0. */
  readonly ok: boolean
  readonly exitCode: number
}

/** A report names its command. */
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

/** Prints the report as a line of JSON on standard error, for programs whose standard output carries records. */
export const printReportAside = (report: Named): Effect.Effect<void> =>
  writeNotice(JSON.stringify(enveloped(report, 0)))

/**
 * Prints an event of a running program, as one line of text or JSON. It has no exit code, because the program still
 * runs.
 */
export const printEvent = <Event extends object>(
  json: boolean,
  program: string,
  event: Event,
  describe: (event: Event) => string
): Effect.Effect<void, OutputError> => writeLine(json ? eventLine(program, event) : describe(event))

/** Prints an event on standard error. */
export const printEventAside = <Event extends object>(
  json: boolean,
  program: string,
  event: Event,
  describe: (event: Event) => string
): Effect.Effect<void> => writeNotice(json ? eventLine(program, event) : describe(event))

/** Lays out rows in columns, each as wide as its widest cell. */
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
