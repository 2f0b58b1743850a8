/**
 * Reads a topic's batches over all of its segments, with or without a process that writes them meanwhile.
 *
 * A segment counts up to where its successor begins: what a failed or killed writer has left behind that is no part of
 * the topic.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { PositionTrimmed } from "../../../services/Subscriber.ts"
import type { ReplicaReadError } from "../ReplicaError.ts"
import { ReadBuffers } from "../segment/FileWindow.ts"
import { damaged, type OpenedSegment, openSegment, walk } from "../segment/openSegment.ts"
import type { SegmentEntry } from "../segment/SegmentEntry.ts"
import type { Group, SegmentWalker, Tail } from "../segment/SegmentWalker.ts"
import { tailDamage } from "../segment/tail.ts"
import type { Place, StoredBatch, StoredReader } from "../StoredTopic.ts"
import { isGone, type SegmentSource } from "./SegmentSource.ts"

/** Opens a reader whose first batch holds the position, or is the next one to be written. */
export const openReader = (
  source: SegmentSource,
  position: number
): Effect.Effect<StoredReader, ReplicaReadError | PositionTrimmed, Scope.Scope> =>
  Effect.gen(function*() {
    const segments = yield* source.segments
    const segment = segments.findLast(({ firstPosition }) => firstPosition <= position)
    if (segment === undefined && segments.length > 0) return yield* trimmed(source, position, segments)
    const reader = new TopicReader(source, position, segment?.firstIndex ?? finite(source.limit()))
    yield* Effect.addFinalizer(() => reader.close)
    yield* reader.find
    return { next: reader.next, pull: reader.pull }
  })

// --- internal ---

const trimmed = (
  { topic }: SegmentSource,
  requested: number,
  segments: ReadonlyArray<SegmentEntry>
): PositionTrimmed => new PositionTrimmed({ topic, requested, start: segments[0]?.firstPosition ?? 0 })

/** Without a segment the reader begins at the first batch that the writer writes, of any index. */
const finite = (limit: number): number => limit === Infinity ? 0 : limit

type ReadError = ReplicaReadError | PositionTrimmed

interface Current {
  readonly segment: OpenedSegment
  readonly scope: Scope.Closeable
  readonly walker: SegmentWalker
}

class TopicReader {
  readonly #source: SegmentSource
  readonly #position: number
  readonly #buffers = new ReadBuffers()
  #current: Current | undefined
  #next: Place
  /** The first batches, found while the reader was opened. */
  #found: ReadonlyArray<StoredBatch> = []
  /** Where damage was seen once. A writer may have been at that place: it counts when it is seen again. */
  #suspected: number | undefined

  constructor(source: SegmentSource, position: number, firstIndex: number) {
    this.#source = source
    this.#position = position
    this.#next = { index: firstIndex, position }
  }

  readonly next = (): Place => this.#next

  /** Reads up to the batch that holds the position. */
  get find(): Effect.Effect<void, ReadError> {
    return Effect.map(this.pull, (batches) => {
      this.#found = batches
      const [first] = batches
      if (first !== undefined) this.#next = { index: first.index, position: first.position }
    })
  }

  readonly pull: Effect.Effect<ReadonlyArray<StoredBatch>, ReadError> = Effect.suspend(() => {
    const found = this.#found
    if (found.length === 0) return this.#pull
    this.#found = []
    this.#next = this.#current?.walker.place ?? this.#next
    return Effect.succeed(found)
  })

  readonly #pull: Effect.Effect<ReadonlyArray<StoredBatch>, ReadError> = Effect.gen({ self: this }, function*() {
    for (;;) {
      if (this.#next.index >= this.#source.limit()) return []
      const current = this.#current ?? (yield* this.#open())
      if (current === undefined) return []
      const step = yield* current.walker.next
      const batches = step.kind === "group" ? this.#follow(current, step) : yield* this.#atTail(current, step)
      if (batches !== undefined) return batches
    }
  })

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    const current = this.#current
    this.#current = undefined
    return current === undefined ? Effect.void : Scope.close(current.scope, Exit.void)
  })

  /** The batches of a group that were not delivered yet; `undefined` when there are none. */
  #follow({ walker }: Current, { batches }: Group): ReadonlyArray<StoredBatch> | undefined {
    this.#suspected = undefined
    const wanted = batches.filter(({ index, messageCount, position }) =>
      index >= this.#next.index && position + messageCount > this.#position
    )
    if (walker.place.index > this.#next.index) this.#next = walker.place
    return wanted.length === 0 ? undefined : wanted
  }

  /** Opens the segment that holds the next batch. */
  #open(): Effect.Effect<Current | undefined, ReadError> {
    return Effect.gen({ self: this }, function*() {
      const firstIndexes = yield* this.#source.firstIndexes
      if (firstIndexes.length === 0) return undefined
      const here = firstIndexes.findLast((firstIndex) => firstIndex <= this.#next.index)
      if (here === undefined) {
        return yield* trimmed(this.#source, this.#next.position, yield* this.#source.segments)
      }
      const scope = yield* Scope.make()
      const opened = yield* Effect.result(Scope.provide(openSegment(this.#source, here), scope))
      if (Result.isFailure(opened)) {
        yield* Scope.close(scope, Exit.void)
        return yield* this.#openInstead(here, opened.failure)
      }
      const segment = opened.success
      // The segment's own scope: what was forked in it later ends earlier.
      return this.#current = { segment, scope, walker: walk(segment, { scope, buffers: this.#buffers }) }
    })
  }

  /** Retention may have removed the segment meanwhile: then it is not in the list any more. */
  #openInstead(firstIndex: number, failure: ReplicaReadError): Effect.Effect<Current | undefined, ReadError> {
    return Effect.gen({ self: this }, function*() {
      if (!isGone(failure)) return yield* failure
      return (yield* this.#source.firstIndexes).includes(firstIndex) ? yield* failure : yield* this.#open()
    })
  }

  /** What to do where a segment holds no further group: read on in another, look again later, or fail. */
  #atTail(current: Current, tail: Tail): Effect.Effect<ReadonlyArray<StoredBatch> | undefined, ReadError> {
    return Effect.gen({ self: this }, function*() {
      const { segment, walker } = current
      const firstIndexes = yield* this.#source.firstIndexes
      const at = firstIndexes.findLastIndex((firstIndex) => firstIndex <= this.#next.index)
      if (firstIndexes[at] !== segment.first.index) {
        yield* this.close
        return undefined
      }
      const next = firstIndexes[at + 1] ?? this.#source.limit()
      const damage = next === Infinity ? yield* tailDamage(segment, tail) : missing(segment, tail, next)
      if (damage === undefined) return []
      if (this.#suspected === walker.offset) return yield* damage
      this.#suspected = walker.offset
      return undefined
    })
  }
}

/** A segment that ends before the batch that follows it, or before the last durable batch. */
const missing = ({ path }: OpenedSegment, { fault, offset }: Tail, next: number) => {
  const detail = fault === undefined ? "the file ends there" : `the block there is invalid: ${fault.detail}`
  return damaged(path, fault?.offset ?? offset, `${detail}, and batches up to ${next} must be there`)
}
