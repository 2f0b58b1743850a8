/**
 * The report of `ringfence doctor`.
 */
import type { LogSummary } from "../../layers/Regions.ts"
import type { CursorState, IdentityState, ReaderState } from "../../services/Diagnostics.ts"
import { showPid, showProcess } from "../../services/schema/ProcessId.ts"
import { table } from "../cli/report.ts"
import { flagsTo, pathOf } from "../cli/target.ts"
import { formatBytes, formatCount, plural } from "../cli/units.ts"
import { type Finding, isLeftover, isRecoverable } from "./finding.ts"

export interface DoctorReport {
  readonly program: "doctor"
  /** True if there are no leftovers, and no logs without a server. */
  readonly healthy: boolean
  readonly repair: boolean
  readonly regions: ReadonlyArray<Finding>
}

export const describeDoctor = ({ healthy, regions }: DoctorReport): string => {
  if (regions.length === 0) return "no regions"
  const verdict = healthy
    ? "nothing is left over"
    : regions.some(isLeftover)
    ? "something is left over"
    : "a log has no server"
  const found = regions.filter(({ status }) => status !== "missing").length
  const counted = found === 0 ? "no regions" : plural(found, "region")
  const summary = `${table([heading, ...regions.map(row)])}\n${counted}, ${verdict}`
  return [summary, ...regions.flatMap((region) => [...describeRecoverable(region), ...describeLog(region)])].join("\n")
}

// --- internal ---

const heading = ["region", "status", "holds", "size", "creator", "attached", "path", ""]

const row = (region: Finding): ReadonlyArray<string> => [
  region.name,
  region.status,
  region.holds ?? "-",
  formatBytes(region.bytes),
  region.creator === undefined ? "-" : showPid(region.creator),
  formatCount(region.attached),
  region.path,
  region.detail
]

const describeRecoverable = (region: Finding): ReadonlyArray<string> => {
  if (!isRecoverable(region)) return []
  const at = flagsTo(region.path === pathOf({ region: region.name }) ? { region: region.name } : { path: region.path })
  const who = region.server === undefined ? "" : ` (${showPid(region.server)})`
  return [
    `${region.name}: its server${who} is dead, and its log is recoverable: \`ringfence serve${at}\` continues it, `
    + `\`ringfence doctor${at} --repair --fresh\` discards it`
  ]
}

const describeLog = ({ log, name }: Finding): ReadonlyArray<string> =>
  log === undefined ? [] : [
    ...log.topics.flatMap(describeTopic),
    ...log.identities.map(describeIdentity),
    ...log.cursors.map(describeCursor),
    ...log.quarantined.map(describeQuarantined)
  ]
    .map((line) => `${name}: ${line}`)

const describeTopic = (topic: LogSummary["topics"][number]): ReadonlyArray<string> => {
  const { bounds, name, order, readers } = topic
  const from = formatCount(bounds.start)
  const kept = order === "none"
    ? "order none"
    : `${plural(bounds.end - bounds.start, "record")} kept, from ${from} to ${formatCount(bounds.end)}`
  return [
    `topic "${name}": ${kept}`,
    ...describeDurability(topic),
    ...readers.map((reader) => `topic "${name}": ${describeLag(reader)}`)
  ]
}

const describeDurability = ({ durability, name }: LogSummary["topics"][number]): ReadonlyArray<string> => {
  if (durability === undefined) return []
  const { records, replicas, required } = durability
  const attached = `${formatCount(Math.min(replicas.length, required))} of ${formatCount(required)} required replicas`
  if (replicas.length < required) {
    return [`topic "${name}": nothing more becomes durable, because only ${attached} are attached`]
  }
  return [
    `topic "${name}": ${
      records === undefined ? "too far behind to tell what is" : plural(records, "record")
    } durable, by ${attached}`
  ]
}

const describeLag = (reader: ReaderState): string => {
  const { behindBatches, behindRecords, gates, name } = reader
  const behind = `${plural(behindRecords, "record")} behind, in ${plural(behindBatches, "batch", "batches")}`
  return `${reader.replica > 0 ? "replica" : "subscriber"} "${name}" (${showPid(reader)}) is ${behind}${
    gates ? "" : ", and holds nothing back"
  }`
}

const describeIdentity = ({ committed, incarnation, name, sessionId, topic }: IdentityState): string => {
  const who = sessionId === undefined ? "no session has it" : `session ${sessionId} has it`
  return `identity "${name}" of topic "${topic}": ${plural(committed, "record")} committed in ${
    plural(incarnation, "session")
  }; ${who}`
}

const describeCursor = ({ cursor, holder, isExpired, position, topic }: CursorState): string => {
  const at = position === undefined ? "has committed nothing" : `is at ${formatCount(position)}`
  const who = holder === undefined ? (isExpired ? "expired" : "no process holds it") : `${showProcess(holder)} holds it`
  return `cursor "${cursor}" of topic "${topic}" ${at}; ${who}`
}

const describeQuarantined = (session: LogSummary["quarantined"][number]): string =>
  `session ${session.sessionId} of topic "${session.topic}" has ended and keeps its slot, because its process `
  + `"${session.process}" (${
    showPid(session)
  }) lives and may still write there: continue it, if it is stopped, or end it`
