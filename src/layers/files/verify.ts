/**
 * Reads every byte of a replica and reports what is there, segment by segment. Changes nothing, and needs no lock: a
 * process may write meanwhile.
 */
import * as Effect from "effect/Effect"
import type { Disk, DiskError } from "../ports/Disk.ts"
import type { StoredCursor } from "../ports/ReplicatedLog.ts"
import { beyond, reportCursors } from "./cursorsFile.ts"
import { readManifest } from "./manifestFile.ts"
import { type ReplicaDamaged, ReplicaMissing, type ReplicaReadError } from "./ReplicaError.ts"
import type { Manifest } from "./ReplicaManifest.ts"
import { join, listSegments, segmentName, topicDir } from "./segment/names.ts"
import { openSegment, orNone, type TopicPlace } from "./segment/openSegment.ts"
import { reaches, scan } from "./segment/scan.ts"
import type { Place } from "./StoredTopic.ts"

export interface SegmentReport {
  readonly file: string
  readonly bytes: number
  readonly first: Place
  /** Behind the last valid group. */
  readonly end: Place
  readonly batches: number
  readonly records: number
  /** Bytes behind the last valid group: the torn end of a crash, or damage. */
  readonly tailBytes: number
  readonly orderedMillis: number
  readonly damage: ReplicaDamaged | undefined
}

export interface TopicReport {
  readonly topic: string
  readonly order: string
  readonly ack: string
  readonly segments: ReadonlyArray<SegmentReport>
  readonly identities: number
  readonly cursors: ReadonlyArray<StoredCursor>
  /** The file of the cursors is damaged, or one of them is further than the batches. */
  readonly cursorsDamage: ReplicaDamaged | undefined
}

export interface ReplicaReport {
  readonly dir: string
  readonly manifest: Manifest
  readonly topics: ReadonlyArray<TopicReport>
}

export const verify = (disk: Disk, dir: string): Effect.Effect<ReplicaReport, ReplicaMissing | ReplicaReadError> =>
  Effect.gen(function*() {
    const manifest = yield* readManifest(disk, dir)
    if (manifest === undefined) return yield* new ReplicaMissing({ dir })
    const topics = yield* Effect.forEach(
      Object.entries(manifest.topics),
      ([topic, declared]) => topicReport({ disk, dir: topicDir(dir, topic), logId: manifest.logId, topic }, declared)
    )
    return { dir, manifest, topics }
  })

/** The damage of a report: of each topic's segments in their order, then of its cursors. */
export const damageOf = ({ topics }: ReplicaReport): ReadonlyArray<ReplicaDamaged> =>
  topics.flatMap(({ cursorsDamage, segments }) => [
    ...segments.flatMap(({ damage }) => damage ?? []),
    ...cursorsDamage === undefined ? [] : [cursorsDamage]
  ])

// --- internal ---

const topicReport = (
  place: TopicPlace,
  declared: { readonly order: string; readonly ack: string }
): Effect.Effect<TopicReport, DiskError> =>
  Effect.gen(function*() {
    const stored = yield* reportCursors(place.disk, place.dir)
    const { firstIndexes } = yield* orNone({ firstIndexes: [] })(listSegments(place.disk, place.dir))
    let identities = 0
    const segments = yield* Effect.forEach(firstIndexes, (firstIndex, at) =>
      Effect.map(segmentReport(place, firstIndex, firstIndexes[at + 1]), (report) => {
        identities = report.identities
        return report.segment
      }))
    const end = segments.at(-1)?.end.position ?? 0
    // A damaged segment says already that batches are missing.
    const isWhole = segments.every(({ damage }) =>
      damage === undefined
    )
    const cursorsDamage = isWhole ? beyond(place.dir, stored, end) : stored.damage
    return { topic: place.topic, ...declared, segments, identities, cursors: stored.cursors, cursorsDamage }
  })

const segmentReport = (
  place: TopicPlace,
  firstIndex: number,
  nextIndex: number | undefined
): Effect.Effect<{ readonly segment: SegmentReport; readonly identities: number }, DiskError> =>
  Effect.scoped(Effect.gen(function*() {
    const segment = yield* openSegment(place, firstIndex)
    const scanned = yield* scan(segment)
    const { batches, end, records } = scanned
    const bytes = yield* segment.file.size
    const short = nextIndex === undefined ? scanned.damage : reaches(segment, nextIndex, scanned)
    return {
      segment: {
        file: segment.path,
        bytes,
        first: segment.first,
        end: end.place,
        batches,
        records,
        tailBytes: Math.max(0, bytes - end.offset),
        orderedMillis: end.orderedMillis,
        damage: short
      },
      identities: end.identities.size
    }
  })).pipe(
    Effect.catchTag(
      "ReplicaDamaged",
      (damage) => Effect.succeed({ segment: unread(place, firstIndex, damage), identities: 0 })
    )
  )

/** A segment whose header cannot be read. */
const unread = ({ dir }: TopicPlace, firstIndex: number, damage: ReplicaDamaged): SegmentReport => ({
  file: join(dir, segmentName(firstIndex)),
  bytes: 0,
  first: { index: firstIndex, position: 0 },
  end: { index: firstIndex, position: 0 },
  batches: 0,
  records: 0,
  tailBytes: 0,
  orderedMillis: 0,
  damage
})
