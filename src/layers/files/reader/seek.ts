/**
 * Finds the first record that was ordered at a time or later.
 */
import * as Effect from "effect/Effect"
import type { ReplicaReadError } from "../ReplicaError.ts"
import { openSegment, walk } from "../segment/openSegment.ts"
import type { SegmentSource } from "./SegmentSource.ts"

/** Its position; the position behind the last record that may be read if there is none. */
export const seek = (source: SegmentSource, orderedMillis: number): Effect.Effect<number, ReplicaReadError> =>
  Effect.gen(function*() {
    const segments = yield* source.segments
    // A segment says what was ordered last before it: the last one with an earlier time is the first that can hold it.
    const candidate = segments.findLastIndex((segment) => segment.orderedMillis < orderedMillis)
    const first = segments[Math.max(candidate, 0)]
    return first === undefined ? 0 : yield* seekIn(source, first.firstIndex, orderedMillis)
  })

// --- internal ---

/** Within one segment. Its successor, if there is one, begins at or behind that time. */
const seekIn = (
  source: SegmentSource,
  firstIndex: number,
  orderedMillis: number
): Effect.Effect<number, ReplicaReadError> =>
  Effect.scoped(Effect.gen(function*() {
    const walker = walk(yield* openSegment(source, firstIndex))
    while (walker.place.index < source.limit()) {
      const step = yield* walker.next
      if (step.kind === "tail") break
      if (step.commit.orderedMillis < orderedMillis) continue
      const found = step.batches.find((batch) => batch.orderedMillis >= orderedMillis)
      if (found !== undefined) return found.position
    }
    return walker.place.position
  }))
