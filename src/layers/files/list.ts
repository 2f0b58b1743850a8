/**
 * What a replica's topics hold, from the headers of their segments and the last segment of each.
 */
import * as Effect from "effect/Effect"
import type { Disk } from "../ports/Disk.ts"
import type { StoredCursor } from "../ports/ReplicatedLog.ts"
import { beyond, reportCursors } from "./cursorsFile.ts"
import { viewOfFiles } from "./makeStoredTopic.ts"
import { readManifest } from "./manifestFile.ts"
import { type ReplicaDamaged, ReplicaMissing, type ReplicaReadError } from "./ReplicaError.ts"
import type { Manifest } from "./ReplicaManifest.ts"
import { topicDir } from "./segment/names.ts"
import { orNone, type TopicPlace } from "./segment/openSegment.ts"
import type { Place } from "./StoredTopic.ts"

export interface TopicListing {
  readonly topic: string
  readonly order: string
  readonly ack: string
  readonly start: Place
  readonly end: Place
  readonly segments: number
  readonly bytes: number
  readonly identities: number
  readonly cursors: ReadonlyArray<StoredCursor>
  /** Of the segments, or else of the cursors. */
  readonly damage: ReplicaDamaged | undefined
}

export interface ReplicaListing {
  readonly dir: string
  readonly manifest: Manifest
  readonly topics: ReadonlyArray<TopicListing>
}

export const list = (disk: Disk, dir: string): Effect.Effect<ReplicaListing, ReplicaMissing | ReplicaReadError> =>
  Effect.gen(function*() {
    const manifest = yield* readManifest(disk, dir)
    if (manifest === undefined) return yield* new ReplicaMissing({ dir })
    const topics = yield* Effect.forEach(Object.entries(manifest.topics), ([topic, declared]) =>
      Effect.map(
        listTopic({ disk, dir: topicDir(dir, topic), logId: manifest.logId, topic }),
        (listed) => ({ topic, ...declared, ...listed })
      ))
    return { dir, manifest, topics }
  })

// --- internal ---

type Listed = Omit<TopicListing, "topic" | "order" | "ack">

const nothing: Listed = {
  start: { index: 0, position: 0 },
  end: { index: 0, position: 0 },
  segments: 0,
  bytes: 0,
  identities: 0,
  cursors: [],
  damage: undefined
}

const listTopic = (place: TopicPlace): Effect.Effect<Listed, ReplicaReadError> => {
  const view = viewOfFiles(place)
  return Effect.gen(function*() {
    const stored = yield* reportCursors(place.disk, place.dir)
    const segments = yield* view.segments
    const { end, start } = yield* view.bounds
    const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0)
    const identities = (yield* view.identities).size
    const damage = beyond(place.dir, stored, end.position)
    return { start, end, segments: segments.length, bytes, identities, cursors: stored.cursors, damage }
  }).pipe(
    Effect.catchTag("ReplicaDamaged", (damage) => Effect.succeed({ ...nothing, damage })),
    orNone(nothing)
  )
}
