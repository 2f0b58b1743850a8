/**
 * The reports of `ringfence files`.
 */
import type { ReplicaListing, TopicListing } from "../../layers/files/list.ts"
import type { RepairedTopic, RepairReport } from "../../layers/files/repairReplica.ts"
import type { Manifest } from "../../layers/files/ReplicaManifest.ts"
import { damageOf, type ReplicaReport, type SegmentReport, type TopicReport } from "../../layers/files/verify.ts"
import type { StoredCursor } from "../../layers/ports/ReplicatedLog.ts"
import { table } from "../cli/report.ts"
import { formatBytes, formatCount, plural } from "../cli/units.ts"

export interface ListReport extends ReplicaListing {
  readonly program: "files ls"
}

export interface VerifyReport extends ReplicaReport {
  readonly program: "files verify"
  /** Pieces of damage in all topics: segments, and files of cursors. */
  readonly damaged: number
}

export interface RepairedReport extends RepairReport {
  readonly program: "files repair"
}

export const describeList = ({ dir, manifest, topics }: ListReport): string =>
  [
    describeManifest(dir, manifest),
    topics.length === 0 ? "no topics" : table([listHeading, ...topics.map(listRow)]),
    ...describeCursors(topics)
  ].join("\n")

export const describeRepair = ({ dir, topics }: RepairedReport): string =>
  topics.length === 0
    ? `${dir}: nothing is damaged`
    : topics.map((topic) => `${dir}: ${describeRepaired(topic)}`).join("\n")

export const describeVerify = ({ damaged, dir, manifest, topics }: VerifyReport): string => {
  const rows = topics.flatMap((topic) => topic.segments.map((segment) => segmentRow(topic, segment)))
  return [
    describeManifest(dir, manifest),
    ...rows.length === 0 ? [] : [table([segmentHeading, ...rows])],
    ...describeCursors(topics),
    `${plural(rows.length, "segment")}, ${damaged === 0 ? "no damage" : `${formatCount(damaged)} damaged`}`,
    ...damageOf({ dir, manifest, topics }).map(({ message }) => message)
  ].join("\n")
}

// --- internal ---

const describeRepaired = ({ cursors, records, segments, topic }: RepairedTopic): string => {
  const written = `${plural(segments, "segment")} with ${plural(records, "record")}`
  const all = [...segments === 0 ? [] : [written], ...cursors === undefined ? [] : [plural(cursors, "cursor")]]
  return `topic "${topic}": ${all.join(" and ")} written again`
}

const describeCursors = (
  topics: ReadonlyArray<{ readonly topic: string; readonly cursors: ReadonlyArray<StoredCursor> }>
): ReadonlyArray<string> => {
  const rows = topics.flatMap(({ cursors, topic }) => cursors.map((cursor) => cursorRow(topic, cursor)))
  return rows.length === 0 ? [] : [table([cursorHeading, ...rows])]
}

const cursorHeading = ["cursor", "of topic", "at record", "last used", "expires"]

const cursorRow = (topic: string, cursor: StoredCursor): ReadonlyArray<string> => {
  const { expiresMillis, name, position, touchedMillis } = cursor
  return [name, topic, String(position), timeText(touchedMillis), timeText(touchedMillis + expiresMillis)]
}

/** A file may hold any number. */
const timeText = (millis: number): string =>
  Math.abs(millis) <= 8.64e15 ? new Date(millis).toISOString() : String(millis)

const describeManifest = (dir: string, { inSync, logId, replicaId, term }: Manifest): string =>
  `${dir}: replica ${replicaId} of log ${logId}, term ${term.number}, ${inSync ? "in sync" : "not in sync"}`

const listHeading = ["topic", "order", "ack", "records from", "to", "segments", "size", "identities", ""]

const listRow = (listing: TopicListing): ReadonlyArray<string> => [
  listing.topic,
  listing.order,
  listing.ack,
  String(listing.start.position),
  String(listing.end.position),
  formatCount(listing.segments),
  formatBytes(listing.bytes),
  formatCount(listing.identities),
  listing.damage === undefined ? "" : `damaged: ${listing.damage.file}, byte ${listing.damage.offset}`
]

const segmentHeading = ["topic", "segment", "records from", "to", "batches", "size", "torn end", ""]

const segmentRow = ({ topic }: TopicReport, segment: SegmentReport): ReadonlyArray<string> => [
  topic,
  segment.file.slice(segment.file.lastIndexOf("/") + 1),
  String(segment.first.position),
  String(segment.end.position),
  formatCount(segment.batches),
  formatBytes(segment.bytes),
  segment.tailBytes === 0 ? "-" : formatBytes(segment.tailBytes),
  segment.damage === undefined ? "valid" : `damaged at byte ${segment.damage.offset}`
]
