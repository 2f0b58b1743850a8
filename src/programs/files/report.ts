/**
 * The reports of `ringfence files`.
 */
import type { ReplicaListing, TopicListing } from "../../layers/files/list.ts"
import type { Manifest } from "../../layers/files/ReplicaManifest.ts"
import { damageOf, type ReplicaReport, type SegmentReport, type TopicReport } from "../../layers/files/verify.ts"
import { table } from "../cli/report.ts"
import { formatBytes, formatCount, plural } from "../cli/units.ts"

export interface ListReport extends ReplicaListing {
  readonly program: "files ls"
}

export interface VerifyReport extends ReplicaReport {
  readonly program: "files verify"
  /** Pieces of damage in all topics. */
  readonly damaged: number
}

export const describeList = ({ dir, manifest, topics }: ListReport): string =>
  [describeManifest(dir, manifest), topics.length === 0 ? "no topics" : table([listHeading, ...topics.map(listRow)])]
    .join("\n")

export const describeVerify = ({ damaged, dir, manifest, topics }: VerifyReport): string => {
  const rows = topics.flatMap((topic) => topic.segments.map((segment) => segmentRow(topic, segment)))
  return [
    describeManifest(dir, manifest),
    ...rows.length === 0 ? [] : [table([segmentHeading, ...rows])],
    `${plural(rows.length, "segment")}, ${damaged === 0 ? "no damage" : `${formatCount(damaged)} damaged`}`,
    ...damageOf({ dir, manifest, topics }).map(({ message }) => message)
  ].join("\n")
}

// --- internal ---

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
