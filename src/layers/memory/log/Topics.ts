/**
 * Declares the topics of a region, and gives the place of an unused topic to a new name.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { fullTable, type RegionError } from "../../../services/schema/RegionError.ts"
import * as Topic from "../../../services/schema/Topic.ts"
import { notRestored } from "../../log/restoring.ts"
import { topicMismatch } from "../../log/topicMismatch.ts"
import type { TopicBase } from "../../ports/ReplicatedLog.ts"
import { type Heap, HeapTopic } from "./LogState.ts"
import { discard } from "./sequencer/retention.ts"

/** Declares a topic for the server: no other topic ever takes its place. */
export const nameTopic = (heap: Heap, topic: Topic.Topic<any>): Effect.Effect<void, Topic.TopicError | RegionError> =>
  inOnePiece(topic, () =>
    Result.map(placeOf(heap, topic, false), (declared) => {
      declared.named = true
    }))

/** Declares a topic whose counts go on at the base. */
export const restoreTopic = (
  heap: Heap,
  topic: Topic.Topic<any>,
  base: TopicBase
): Effect.Effect<void, Topic.TopicError | RegionError> =>
  inOnePiece(topic, () =>
    heap.topics.some(({ name }) => name === topic.name)
      ? Result.fail(notRestored(heap.region, `topic "${topic.name}"`))
      : Result.map(declare(heap, topic, base), () => {}))

/** Validates the topic, and runs the claim in one step, so that no other opening can come between its parts. */
export const inOnePiece = <A, E>(
  topic: Topic.Topic<any>,
  claim: () => Result.Result<A, E>
): Effect.Effect<A, E | Topic.TopicInvalid> =>
  Effect.andThen(Topic.validate(topic), Effect.suspend(() => Effect.fromResult(claim())))

/** The failure of a claim in a full table. */
export const full = (heap: Heap, detail: string, size: Parameters<typeof fullTable>[2]) =>
  Result.fail(fullTable(heap.region, detail, size))

/** The place of the topic with that name. Declares the topic if it does not exist, unless `mustExist`. */
export const placeOf = (
  heap: Heap,
  topic: Topic.Topic<any>,
  mustExist: boolean
): Result.Result<HeapTopic, Topic.TopicError | RegionError> => {
  const found = heap.topics.find(({ name }) => name === topic.name)
  if (found !== undefined) return matching(found, topic)
  if (!mustExist) return declare(heap, topic)
  return Result.fail(new Topic.TopicUnknown({ topic: topic.name, known: heap.topics.map(({ name }) => name) }))
}

// --- internal ---

const matching = (found: HeapTopic, wanted: Topic.Topic<any>): Result.Result<HeapTopic, Topic.TopicMismatch> => {
  const mismatch = topicMismatch(wanted, found.declaration)
  return mismatch === undefined ? Result.succeed(found) : Result.fail(mismatch)
}

const declare = (heap: Heap, topic: Topic.Topic<any>, base?: TopicBase): Result.Result<HeapTopic, RegionError> => {
  const { topics } = heap.geometry
  const place = heap.topics.length < topics ? heap.topics.length : freePlace(heap)
  if (place === undefined) {
    const why = heap.stopped ? "declared, and its server is gone" : "in use or named by the server"
    return full(heap, `all ${topics} topics of the region are ${why}`, "topics")
  }
  const declared = new HeapTopic(topic, heap.geometry, base)
  declared.copies = heap.copies
  heap.topics[place] = declared
  heap.leave(declared)
  return Result.succeed(declared)
}

// Over shared memory the sequencer frees places, so here a stopped one frees none either.
const freePlace = (heap: Heap): number | undefined => {
  const [topic] = heap.topics.filter((topic) => !topic.named && !topic.isDurable && !isInUse(heap, topic)).toSorted(
    goesFirst
  )
  if (topic === undefined || heap.stopped || heap.unservedMicros !== undefined) return undefined
  discard(topic)
  // Its records freed room in lanes that publishers may wait for.
  heap.members.ring()
  return heap.topics.indexOf(topic)
}

const isInUse = (heap: Heap, topic: HeapTopic): boolean =>
  topic.readers.some((reader) => reader !== undefined)
  || heap.sessions.some((session) => session?.topic === topic && session.state !== "ended")

/** Topics without kept records lose their places first; among those alike, the topic that has been unused for longest. */
const goesFirst = (a: HeapTopic, b: HeapTopic): number =>
  Number(isKept(a)) - Number(isKept(b)) || a.leftAlone - b.leftAlone

const isKept = ({ committedBatches, trimmed }: HeapTopic): boolean => committedBatches > trimmed
