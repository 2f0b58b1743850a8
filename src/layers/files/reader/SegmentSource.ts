/**
 * Where a reader finds the segments of a topic: in the memory of the process that writes them, or in the directory.
 */
import * as Effect from "effect/Effect"
import type { DiskError } from "../../ports/Disk.ts"
import type { ReplicaReadError } from "../ReplicaError.ts"
import { listSegments } from "../segment/names.ts"
import { openSegment, type TopicPlace } from "../segment/openSegment.ts"
import type { SegmentEntry } from "../segment/SegmentEntry.ts"

export interface SegmentSource extends TopicPlace {
  /** Oldest first. Reads the header of each, unless this process writes them. */
  readonly segments: Effect.Effect<ReadonlyArray<SegmentEntry>, ReplicaReadError>
  /** Index of the first batch of each, which its name says, oldest first. */
  readonly firstIndexes: Effect.Effect<ReadonlyArray<number>, ReplicaReadError>
  /** Index of the first batch that may not be read yet, because it is not durable. */
  readonly limit: () => number
}

/** The names alone of the segments that the directory has now. */
export const firstIndexesIn = ({ dir, disk }: TopicPlace): Effect.Effect<ReadonlyArray<number>, ReplicaReadError> =>
  Effect.map(listSegments(disk, dir), ({ firstIndexes }) => firstIndexes)

/** The segments as the directory has them now; their headers are read. */
export const segmentsIn = (place: TopicPlace): Effect.Effect<ReadonlyArray<SegmentEntry>, ReplicaReadError> =>
  Effect.gen(function*() {
    const entries: Array<SegmentEntry> = []
    for (const firstIndex of yield* firstIndexesIn(place)) {
      const entry = yield* entryOf(place, firstIndex)
      if (entry !== undefined) entries.push(entry)
    }
    return entries
  })

/** The file was removed since its name was listed. */
export const isGone = (error: ReplicaReadError): error is DiskError =>
  error._tag === "DiskError" && error.op === "open" && error.code === "ENOENT"

// --- internal ---

/** `undefined` when retention has removed it meanwhile. */
const entryOf = (
  place: TopicPlace,
  firstIndex: number
): Effect.Effect<SegmentEntry | undefined, ReplicaReadError> =>
  Effect.scoped(Effect.gen(function*() {
    const { file, header } = yield* openSegment(place, firstIndex)
    const { firstPosition, orderedMillis } = header
    return { firstIndex, firstPosition, orderedMillis, bytes: yield* file.size }
  })).pipe(Effect.catchIf(isGone, () => Effect.succeed(undefined)))
