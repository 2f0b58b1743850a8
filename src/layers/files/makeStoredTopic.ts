/**
 * Builds the reading side of a topic, for the process that writes it and for others.
 */
import * as Effect from "effect/Effect"
import { seek } from "./reader/seek.ts"
import { firstIndexesIn, segmentsIn, type SegmentSource } from "./reader/SegmentSource.ts"
import { openReader } from "./reader/TopicReader.ts"
import type { ReplicaReadError } from "./ReplicaError.ts"
import { openSegment, type TopicPlace } from "./segment/openSegment.ts"
import { type Scan, scan } from "./segment/scan.ts"
import type { StoredTopic } from "./StoredTopic.ts"

export interface DeclaredTopic extends TopicPlace {
  readonly order: string
  readonly ack: string
}

/** What the process that writes a topic knows of it, and another one reads from the files. */
export interface TopicView extends Pick<SegmentSource, "segments" | "firstIndexes" | "limit"> {
  readonly bounds: StoredTopic["bounds"]
  readonly identities: StoredTopic["identities"]
}

export const storedTopic = (declared: DeclaredTopic, view: TopicView): StoredTopic => {
  const source: SegmentSource = { ...declared, ...view }
  return {
    name: declared.topic,
    order: declared.order,
    ack: declared.ack,
    bounds: view.bounds,
    identities: view.identities,
    startIdentities: startIdentities(source),
    read: (position) => openReader(source, position),
    seek: (orderedMillis) => seek(source, orderedMillis)
  }
}

/** The view of a process that only reads: it looks at the files each time. */
export const viewOfFiles = (place: TopicPlace): TopicView => ({
  segments: segmentsIn(place),
  firstIndexes: firstIndexesIn(place),
  limit: () => Infinity,
  bounds: Effect.gen(function*() {
    const [first] = yield* segmentsIn(place)
    const last = yield* lastScan(place)
    if (first === undefined || last === undefined) return { start: nowhere, end: nowhere }
    return { start: { index: first.firstIndex, position: first.firstPosition }, end: last.end.place }
  }),
  identities: Effect.map(lastScan(place), (last) => last?.end.identities ?? new Map())
})

// --- internal ---

const nowhere = { index: 0, position: 0 }

const lastScan = (place: TopicPlace): Effect.Effect<Scan | undefined, ReplicaReadError> =>
  Effect.scoped(Effect.gen(function*() {
    const last = (yield* firstIndexesIn(place)).at(-1)
    if (last === undefined) return undefined
    const scanned = yield* scan(yield* openSegment(place, last))
    return scanned.damage === undefined ? scanned : yield* scanned.damage
  }))

const startIdentities = (source: SegmentSource): StoredTopic["startIdentities"] =>
  Effect.scoped(Effect.gen(function*() {
    const [first] = yield* source.segments
    if (first === undefined) return new Map()
    const { header } = yield* openSegment(source, first.firstIndex)
    return new Map(Object.entries(header.identities))
  }))
