/**
 * The report of a demonstration: its checks, its figures, and both as text.
 */
import { type Check, check, checkLine } from "../cli/checks.ts"
import { formatBytes, formatCount, formatMillis, formatRate, plural } from "../cli/units.ts"
import { checksOf, type Figures, figuresOf } from "../log-trial/checks.ts"
import type { Killed } from "../log-trial/kill.ts"
import { brokerTable, figureLines } from "../log-trial/report.ts"
import { copyGigabytesPerSecond } from "../measure/copy-rate.ts"
import { macOf } from "../measure/mac.ts"
import type { DemoAck } from "./jobs.ts"
import type { DemoPlan } from "./plan.ts"
import type { DemoOutcome } from "./run.ts"
import { onAllDisks, storedChecks } from "./stored-checks.ts"

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
  readonly ack: DemoAck
  /** What the files of each replica hold. */
  readonly replicas: ReadonlyArray<ReplicaRow>
  /** Under `--kill`. */
  readonly killed?: Killed
  readonly sessions: ReadonlyArray<SessionRow>
  readonly wholeOrder: ReadonlyArray<{ readonly subscriber: string; readonly mac: string }>
  /** Of all checksums above: AES-128-GMAC, nonce 0. */
  readonly macKey: string
  /** How fast one thread of this machine copies memory, in decimal gigabytes a second. */
  readonly copyGigabytesPerSecond: number
}

export interface SessionRow {
  readonly publisher: string
  readonly sessionId: number
  readonly records: number
  readonly bytes: number
  /** Checksum of the bytes as read from the files. */
  readonly mac: string
  readonly subscribers: ReadonlyArray<{ readonly subscriber: string; readonly mac: string }>
}

/** What one replica's files hold. */
export interface ReplicaRow {
  readonly replica: string
  readonly records: number
  readonly bytes: number
  readonly fileBytes: number
  readonly segments: number
  readonly damaged: number
  /** Of the process that wrote them last. */
  readonly syncs: number
  readonly mac: string
  readonly sessions: ReadonlyArray<{ readonly sessionId: number; readonly mac: string }>
}

export const report = (plan: DemoPlan, outcome: DemoOutcome): DemoReport => {
  const amount = { records: plan.records, bytes: plan.totalBytes }
  const checks = [
    ...checksOf(amount, outcome),
    contentEqual(plan, outcome),
    orderEqual(outcome),
    ...plan.options.ack === "durable" ? [onAllDisks(plan, outcome)] : [],
    ...outcome.stored.flatMap((stored) => storedChecks(amount, outcome, stored)),
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
    ack: plan.options.ack,
    replicas: replicaRows(outcome),
    ...outcome.killed === undefined ? {} : { killed: outcome.killed },
    ...figuresOf(amount, outcome),
    sessions: sessionRows(plan, outcome),
    wholeOrder: outcome.subscribers.map(({ name, result }) => ({ subscriber: name, mac: result.orderMac })),
    macKey: plan.macKey,
    copyGigabytesPerSecond: copyGigabytesPerSecond()
  }
}

/** The report as text. */
export const describe = (report: DemoReport): string =>
  [
    "",
    ...figureLines(report),
    `copy limit    ${
      formatRate(report.copyGigabytesPerSecond)
    }: what one thread of this machine copies, doing nothing else`,
    "(the publishers also read the files, and all of them make checksums of every byte)",
    "",
    ...brokerTable(report.brokers),
    "",
    ...report.sessions.flatMap(sessionLines),
    ...report.wholeOrder.map(({ mac, subscriber }) => `whole order at ${subscriber}  ${mac}`),
    ...report.replicas.flatMap(replicaLines),
    "",
    ...report.checks.map(checkLine)
  ].join("\n")

// --- internal ---

const sessionRows = ({ macKey }: DemoPlan, { publishers, subscribers }: DemoOutcome): ReadonlyArray<SessionRow> => {
  // Of a session of which a subscriber saw no record.
  const empty = macOf(macKey, new Uint8Array())
  return publishers.map(({ name, result: { bytes, mac, records, sessionId } }) => ({
    publisher: name,
    sessionId,
    records,
    bytes,
    mac,
    subscribers: subscribers.map(({ name, result }) => ({
      subscriber: name,
      mac: result.sessions.find((session) => session.sessionId === sessionId)?.mac ?? empty
    }))
  }))
}

const replicaRows = ({ replicas, stored }: DemoOutcome): ReadonlyArray<ReplicaRow> =>
  stored.map(({ name, result }) => ({
    replica: name,
    records: result.records,
    bytes: result.bytes,
    fileBytes: result.fileBytes,
    segments: result.segments,
    damaged: result.damage.length,
    syncs: replicas.find((replica) => replica.name === name)?.result.syncs ?? 0,
    mac: result.orderMac,
    sessions: result.sessions.map(({ mac, sessionId }) => ({ sessionId, mac }))
  }))

const replicaLines = ({ fileBytes, mac, records, replica, segments, syncs }: ReplicaRow): ReadonlyArray<string> => [
  `whole order in the files of ${replica}  ${mac}`,
  `  ${plural(records, "record")} in ${plural(segments, "segment")} of ${formatBytes(fileBytes)}, ${
    plural(syncs, "sync")
  } by the process that ended last`
]

const contentEqual = (plan: DemoPlan, outcome: DemoOutcome): Check => {
  const compared = sessionRows(plan, outcome).flatMap(({ mac, subscribers }) =>
    subscribers.map((seen) => seen.mac === mac)
  )
  const equal = compared.filter(Boolean).length
  return check(
    "each session's content equals its input",
    equal === compared.length,
    `${formatCount(equal)} of ${formatCount(compared.length)} checksums are equal`
  )
}

const orderEqual = ({ subscribers }: DemoOutcome): Check => {
  const orders = new Set(subscribers.map(({ result }) => result.orderMac))
  const detail = orders.size === 1
    ? `one checksum at ${plural(subscribers.length, "subscriber")}`
    : plural(orders.size, "checksum")
  return check("every subscriber sees the same order", orders.size === 1, detail)
}

const wentOn = (records: number, { acknowledged, name, orderedMeanwhile, pauseMillis, pid }: Killed): Check => {
  const percent = formatCount(Math.round(1000 * acknowledged / records) / 10)
  const meanwhile = orderedMeanwhile === undefined
    ? ""
    : `; ${plural(orderedMeanwhile, "record")} came into the order meanwhile`
  const detail =
    `${name} (pid ${pid}) was killed with ${percent} % acknowledged, and the next acknowledgement came after `
    + formatMillis(pauseMillis) + meanwhile
  return check("the log goes on after the kill", acknowledged < records, detail)
}

const sessionLines = ({ mac, publisher, subscribers }: SessionRow): ReadonlyArray<string> => [
  `content of ${publisher}, as read  ${mac}`,
  ...subscribers.map((seen) => `  at ${seen.subscriber} ${seen.mac === mac ? "equal" : `not equal: ${seen.mac}`}`)
]
