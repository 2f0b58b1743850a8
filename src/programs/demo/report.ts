/**
 * The report of a demonstration: its checks, its figures, and both as text.
 */
import { createHash } from "node:crypto"
import { type Check, check, checkLine } from "../cli/checks.ts"
import { formatCount, formatMillis, plural } from "../cli/units.ts"
import { checksOf, type Figures, figuresOf } from "../log-trial/checks.ts"
import type { Killed } from "../log-trial/kill.ts"
import { brokerTable, figureLines } from "../log-trial/report.ts"
import type { DemoPlan } from "./plan.ts"
import type { DemoOutcome } from "./run.ts"

export interface DemoReport extends Figures {
  readonly program: "demo"
  readonly passed: boolean
  readonly checks: ReadonlyArray<Check>
  readonly region: { readonly path: string; readonly bytes: number; readonly freeBytes: number }
  readonly input: {
    readonly paths: ReadonlyArray<string>
    readonly files: number
    readonly bytes: number
    readonly passes: number
  }
  readonly skewMillis: number
  /** Under `--kill`. */
  readonly killed?: Killed
  readonly sessions: ReadonlyArray<SessionRow>
  readonly wholeOrder: ReadonlyArray<{ readonly subscriber: string; readonly sha256: string }>
}

export interface SessionRow {
  readonly publisher: string
  readonly sessionId: number
  readonly records: number
  readonly bytes: number
  /** Hash of the bytes as read from the files. */
  readonly sha256: string
  readonly subscribers: ReadonlyArray<{ readonly subscriber: string; readonly sha256: string }>
}

export const report = (plan: DemoPlan, outcome: DemoOutcome): DemoReport => {
  const amount = { records: plan.records, bytes: plan.totalBytes }
  const checks = [
    ...checksOf(amount, outcome),
    contentEqual(outcome),
    orderEqual(outcome),
    ...outcome.killed === undefined ? [] : [wentOn(amount.records, outcome.killed)]
  ]
  return {
    program: "demo",
    passed: checks.every(({ holds }) => holds),
    checks,
    region: { path: plan.region.path, bytes: plan.region.bytes, freeBytes: plan.region.freeBytes },
    input: {
      paths: plan.paths,
      files: plan.files.length,
      bytes: plan.inputBytes,
      passes: plan.totalBytes / plan.inputBytes
    },
    skewMillis: plan.options.skewMillis,
    ...outcome.killed === undefined ? {} : { killed: outcome.killed },
    ...figuresOf(amount, outcome),
    sessions: sessionRows(outcome),
    wholeOrder: outcome.subscribers.map(({ name, result }) => ({ subscriber: name, sha256: result.orderSha256 }))
  }
}

/** The report as text. */
export const describe = (report: DemoReport): string =>
  [
    "",
    ...figureLines(report),
    "(the publishers also read and hash the files, the subscribers hash everything twice)",
    "",
    ...brokerTable(report.brokers),
    "",
    ...report.sessions.flatMap(sessionLines),
    ...report.wholeOrder.map(({ sha256, subscriber }) => `whole order at ${subscriber}  ${sha256}`),
    "",
    ...report.checks.map(checkLine)
  ].join("\n")

// --- internal ---

/** The hash of a session of which a subscriber saw no record. */
const emptySha256 = createHash("sha256").digest("hex")

const sessionRows = ({ publishers, subscribers }: DemoOutcome): ReadonlyArray<SessionRow> =>
  publishers.map(({ name, result: { bytes, records, sessionId, sha256 } }) => ({
    publisher: name,
    sessionId,
    records,
    bytes,
    sha256,
    subscribers: subscribers.map(({ name, result }) => ({
      subscriber: name,
      sha256: result.sessions.find((session) => session.sessionId === sessionId)?.sha256 ?? emptySha256
    }))
  }))

const contentEqual = (outcome: DemoOutcome): Check => {
  const compared = sessionRows(outcome).flatMap(({ sha256, subscribers }) =>
    subscribers.map((seen) => seen.sha256 === sha256)
  )
  const equal = compared.filter(Boolean).length
  return check(
    "each session's content equals its input",
    equal === compared.length,
    `${formatCount(equal)} of ${formatCount(compared.length)} hashes are equal`
  )
}

const orderEqual = ({ subscribers }: DemoOutcome): Check => {
  const hashes = new Set(subscribers.map(({ result }) => result.orderSha256))
  const detail = hashes.size === 1
    ? `one hash at ${plural(subscribers.length, "subscriber")}`
    : plural(hashes.size, "hash", "hashes")
  return check("every subscriber sees the same order", hashes.size === 1, detail)
}

const wentOn = (records: number, { acknowledged, name, pauseMillis, pid }: Killed): Check => {
  const percent = formatCount(Math.round(1000 * acknowledged / records) / 10)
  const detail =
    `${name} (pid ${pid}) was killed with ${percent} % acknowledged, and the next acknowledgement came after `
    + formatMillis(pauseMillis)
  return check("the log goes on after the kill", acknowledged < records, detail)
}

const sessionLines = ({ publisher, sha256, subscribers }: SessionRow): ReadonlyArray<string> => [
  `content of ${publisher}, as read  ${sha256}`,
  ...subscribers.map((seen) =>
    `  at ${seen.subscriber} ${seen.sha256 === sha256 ? "equal" : `not equal: ${seen.sha256}`}`
  )
]
