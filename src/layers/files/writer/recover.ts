/**
 * Finds what a topic's files hold durably when a process begins to write them.
 */
import * as Effect from "effect/Effect"
import type { DiskError } from "../../ports/Disk.ts"
import { readCursors } from "../cursorsFile.ts"
import type { ReplicaReadError } from "../ReplicaError.ts"
import type { TopicBase } from "../ReplicaFiles.ts"
import { join, listSegments } from "../segment/names.ts"
import { type OpenedSegment, openSegment, type TopicPlace } from "../segment/openSegment.ts"
import { type Boundary, endsWith, reaches, scan } from "../segment/scan.ts"
import type { SegmentEntry } from "../segment/SegmentEntry.ts"
import { SegmentWalker } from "../segment/SegmentWalker.ts"
import { StagingBuffer } from "./StagingBuffer.ts"
import type { TopicState } from "./TopicWriter.ts"

/** Reads the headers of all segments and the whole last one; removes segments that were never finished. */
export const recover = (place: TopicPlace, base: TopicBase): Effect.Effect<TopicState, ReplicaReadError> =>
  Effect.scoped(Effect.gen(function*() {
    const { firstIndexes, unfinished } = yield* listSegments(place.disk, place.dir)
    for (const name of unfinished) yield* place.disk.remove(join(place.dir, name))
    // Names may have been given without ever being synced.
    yield* place.disk.syncDirectory(place.dir)
    const segments: Array<SegmentEntry> = []
    for (const [at, firstIndex] of firstIndexes.entries()) {
      segments.push(yield* checked(place, firstIndex, firstIndexes[at + 1]))
    }
    const last = firstIndexes.at(-1)
    const cursors = yield* readCursors(place.disk, place.dir)
    const state = last === undefined ? fresh(base) : yield* stateOf(yield* openSegment(place, last), segments)
    return { ...state, cursors }
  }))

// --- internal ---

type Batches = Omit<TopicState, "cursors">

const fresh = ({ identities = new Map(), index, position }: TopicBase): Batches => ({
  synced: { index, position },
  orderedMillis: 0,
  identities,
  segments: [],
  cut: undefined,
  again: undefined
})

/** Opens a segment's header; reads all of it only when its end does not say that its successor follows. */
const checked = (
  place: TopicPlace,
  firstIndex: number,
  nextIndex: number | undefined
): Effect.Effect<SegmentEntry, ReplicaReadError> =>
  Effect.scoped(Effect.gen(function*() {
    const segment = yield* openSegment(place, firstIndex)
    if (nextIndex !== undefined) {
      const { first: next } = yield* openSegment(place, nextIndex)
      if (!(yield* endsWith(segment, next))) {
        const damage = reaches(segment, nextIndex, yield* scan(segment))
        if (damage !== undefined) return yield* damage
      }
    }
    const { orderedMillis } = segment.header
    const bytes = yield* segment.file.size
    return { firstIndex, firstPosition: segment.first.position, orderedMillis, bytes }
  }))

/**
 * Trusts the last segment up to what is proven to be durable. Valid groups behind that may be there in the system's
 * memory alone, where a failed sync leaves them too: they are written again, to another segment.
 */
const stateOf = (
  segment: OpenedSegment,
  segments: ReadonlyArray<SegmentEntry>
): Effect.Effect<Batches, ReplicaReadError> =>
  Effect.gen(function*() {
    const { damage, end, proven } = yield* scan(segment)
    if (damage !== undefined) return yield* damage
    return {
      synced: proven.place,
      orderedMillis: proven.orderedMillis,
      identities: proven.identities,
      segments,
      cut: { path: segment.path, offset: proven.offset },
      again: proven.place.index === end.place.index ? undefined : yield* copied(segment, proven)
    }
  })

/** The groups behind what is proven, in a staging buffer. */
const copied = ({ file, salt }: OpenedSegment, proven: Boundary): Effect.Effect<StagingBuffer, DiskError> =>
  Effect.gen(function*() {
    const buffer = new StagingBuffer(Infinity)
    const walker = new SegmentWalker(file, salt, proven.offset, proven.place)
    let step = yield* walker.next
    while (step.kind === "group") {
      for (const batch of step.batches) buffer.append(batch)
      step = yield* walker.next
    }
    return buffer
  })
