/**
 * The report of `ringfence publish`.
 */
import type { PublisherHandle } from "../../services/Publisher.ts"
import type { Topic } from "../../services/schema/Topic.ts"
import { formatBytes, formatCount, formatRate, formatSeconds, plural } from "../cli/units.ts"

/** Counts so far. */
export interface PublishTally {
  bytes: number
  /** Records of the input that the identity had committed before. */
  skipped: number
  readonly beganMillis: number
}

export interface PublishReport {
  readonly program: "publish"
  readonly region: string
  readonly topic: string
  readonly order: string
  readonly ack: string
  readonly sessionId: number
  readonly identity?: string
  /** With an identity: records of the input that it had committed before. They are not published again. */
  readonly skipped?: number
  readonly records: number
  readonly acknowledged: number
  readonly bytes: number
  readonly seconds: number
  readonly recordsPerSecond: number
  readonly gigabytesPerSecond: number
  readonly laneFullEvents: number
}

/** The counts at a failure. */
export interface PublishedSoFar {
  readonly _tag: "PublishedSoFar"
  readonly records: number
  readonly acknowledged: number
}

export const publishedSoFar = (publisher: PublisherHandle<Uint8Array>): PublishedSoFar => ({
  _tag: "PublishedSoFar",
  records: publisher.accepted(),
  acknowledged: publisher.acknowledged()
})

export const describeSoFar = ({ acknowledged, records }: PublishedSoFar): string =>
  `published so far: ${plural(records, "record")}, ${formatCount(acknowledged)} acknowledged`

export const publishedReport = (
  region: string,
  { ack, name, order }: Topic,
  publisher: PublisherHandle<Uint8Array>,
  { beganMillis, bytes, skipped }: PublishTally,
  identity: string | undefined
): PublishReport => {
  const seconds = Math.max(performance.now() - beganMillis, 1e-3) / 1000
  const records = publisher.accepted()
  return {
    program: "publish",
    region,
    topic: name,
    order,
    ack,
    sessionId: publisher.sessionId,
    ...(identity === undefined ? {} : { identity, skipped }),
    records,
    acknowledged: publisher.acknowledged(),
    bytes,
    seconds,
    recordsPerSecond: records / seconds,
    gigabytesPerSecond: bytes / 1e9 / seconds,
    laneFullEvents: publisher.fullEvents()
  }
}

export const describePublished = (report: PublishReport): string => {
  const acknowledged = report.ack === "none"
    ? `this topic has no acknowledgements`
    : `${formatCount(report.acknowledged)} acknowledged`
  return `published ${plural(report.records, "record")} (${formatBytes(report.bytes)}) to "${report.topic}" in ${
    formatSeconds(report.seconds)
  }, ${formatCount(Math.round(report.recordsPerSecond))} records/s, ${
    formatRate(report.gigabytesPerSecond)
  }; ${acknowledged}${describeSkipped(report)}`
}

// --- internal ---

const describeSkipped = ({ identity, skipped = 0 }: PublishReport): string =>
  identity === undefined ? "" : `; skipped ${plural(skipped, "record")} that "${identity}" had committed before`
