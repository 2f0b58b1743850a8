/**
 * Taking places in the tables of a region: topics, sessions, readers.
 *
 * A claim and the declaration of its topic are one piece: in between another opening could have freed the topic's place.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { fullTable, type RegionError } from "../../../services/schema/RegionError.ts"
import * as Topic from "../../../services/schema/Topic.ts"
import { type From, PositionTrimmed } from "../../../services/Subscriber.ts"
import { cursorAt } from "./IndexPort.ts"
import { type Heap, HeapTopic, type Reader, Session } from "./LogState.ts"
import { discard } from "./sequencer/retention.ts"

/** A topic that the server names: its place is never another's. */
export const nameTopic = (heap: Heap, topic: Topic.Topic<any>): Effect.Effect<void, Topic.TopicError | RegionError> =>
  inOnePiece(topic, () =>
    Result.map(placeOf(heap, topic, false), (declared) => {
      declared.named = true
    }))

/** A session takes the first slot whose last session has ended. Slot and generation make its id, as in shared memory. */
export const claimSession = (
  heap: Heap,
  topic: Topic.Topic<any>
): Effect.Effect<Session, Topic.TopicError | RegionError> =>
  inOnePiece(topic, () =>
    Result.gen(function*() {
      const declared = yield* placeOf(heap, topic, false)
      const slot = heap.sessions.findIndex(isFree)
      if (slot < 0) return yield* full(heap, `all ${heap.geometry.clients} session slots are taken`, "clients")
      const generation = (heap.sessions[slot]?.generation ?? 0) + 1
      const session = new Session((generation - 1) * heap.geometry.clients + slot + 1, generation, declared)
      heap.sessions[slot] = session
      heap.wakeSequencer()
      return session
    }))

export interface ReaderOptions {
  readonly name: string
  readonly from: From
  /** Nothing is declared. */
  readonly mustExist: boolean
}

/** A reader takes the first free slot; from then on nothing above its cursor is reused. */
export const claimReader = (
  heap: Heap,
  topic: Topic.Topic<any>,
  { from, mustExist, name }: ReaderOptions
): Effect.Effect<
  { readonly declared: HeapTopic; readonly reader: Reader },
  Topic.TopicError | RegionError | PositionTrimmed
> =>
  inOnePiece(topic, () =>
    Result.gen(function*() {
      const declared = yield* placeOf(heap, topic, mustExist)
      const slot = declared.readers.indexOf(undefined)
      if (slot < 0) {
        return yield* full(heap, `all ${heap.geometry.readers} reader slots of the topic are taken`, "readers")
      }
      const requested = typeof from === "object" ? from.position : undefined
      if (requested !== undefined && requested < declared.trimmedMessages) {
        return yield* Result.fail(
          new PositionTrimmed({ topic: topic.name, requested, start: declared.trimmedMessages })
        )
      }
      const reader = { name, cursor: cursorAt(declared, from) }
      declared.readers[slot] = reader
      return { declared, reader }
    }))

// --- internal ---

const inOnePiece = <A, E>(
  topic: Topic.Topic<any>,
  claim: () => Result.Result<A, E>
): Effect.Effect<A, E | Topic.TopicInvalid> =>
  Effect.andThen(Topic.validate(topic), Effect.suspend(() => Effect.fromResult(claim())))

const isFree = (session: Session | undefined): boolean => session === undefined || session.state === "ended"

const full = (heap: Heap, detail: string, size: Parameters<typeof fullTable>[2]) =>
  Result.fail(fullTable(heap.region, detail, size))

/** The place of the topic of that name, declared here when it is not there, unless it must be. */
const placeOf = (
  heap: Heap,
  topic: Topic.Topic<any>,
  mustExist: boolean
): Result.Result<HeapTopic, Topic.TopicError | RegionError> => {
  const found = heap.topics.find(({ name }) => name === topic.name)
  if (found !== undefined) return matching(found, topic)
  if (!mustExist) return declare(heap, topic)
  return Result.fail(new Topic.TopicUnknown({ topic: topic.name, known: heap.topics.map(({ name }) => name) }))
}

const describe = ({ ack, order }: Topic.Topic<any>): string => `order "${order}", ack "${ack}"`

const matching = (found: HeapTopic, wanted: Topic.Topic<any>): Result.Result<HeapTopic, Topic.TopicMismatch> => {
  const { ack, order } = found.declaration
  if (order === wanted.order && ack === wanted.ack) return Result.succeed(found)
  return Result.fail(
    new Topic.TopicMismatch({ topic: wanted.name, wanted: describe(wanted), found: describe(found.declaration) })
  )
}

const declare = (heap: Heap, topic: Topic.Topic<any>): Result.Result<HeapTopic, RegionError> => {
  const { topics } = heap.geometry
  const place = heap.topics.length < topics ? heap.topics.length : freePlace(heap)
  if (place === undefined) {
    const why = heap.stopped ? "declared, and its server is gone" : "in use or named by the server"
    return full(heap, `all ${topics} topics of the region are ${why}`, "topics")
  }
  const declared = new HeapTopic(topic, heap.geometry)
  heap.topics[place] = declared
  heap.leave(declared)
  return Result.succeed(declared)
}

// The sequencer's part in it, which frees nothing once it has stopped.
const freePlace = (heap: Heap): number | undefined => {
  const [topic] = heap.topics.filter((topic) => !topic.named && !isInUse(heap, topic)).toSorted(goesFirst)
  if (topic === undefined || heap.stopped) return undefined
  discard(topic)
  // Its records made room in lanes.
  heap.members.ring()
  return heap.topics.indexOf(topic)
}

const isInUse = (heap: Heap, topic: HeapTopic): boolean =>
  topic.readers.some((reader) => reader !== undefined)
  || heap.sessions.some((session) => session?.topic === topic && session.state !== "ended")

/** Those of which nothing is kept, then those that were left alone first. */
const goesFirst = (a: HeapTopic, b: HeapTopic): number =>
  Number(isKept(a)) - Number(isKept(b)) || a.leftAlone - b.leftAlone

const isKept = ({ committedBatches, trimmed }: HeapTopic): boolean => committedBatches > trimmed
