/**
 * Taking places in the tables of a region: topics, sessions, readers.
 */
import * as Effect from "effect/Effect"
import { fullTable, type RegionError } from "../../../services/schema/RegionError.ts"
import * as Topic from "../../../services/schema/Topic.ts"
import { type From, PositionTrimmed } from "../../../services/Subscriber.ts"
import { cursorAt } from "./IndexPort.ts"
import { type Heap, HeapTopic, type Reader, Session } from "./LogState.ts"

/** The topic's place, taken by the first process that asks. With `mustExist` it is never taken. */
export const declareTopic = Effect.fnUntraced(function*<A>(heap: Heap, topic: Topic.Topic<A>, mustExist = false) {
  yield* Topic.validate(topic)
  const found = heap.topics.find(({ name }) => name === topic.name)
  if (found !== undefined) return yield* matching(found, topic)
  if (mustExist) {
    return yield* new Topic.TopicUnknown({ topic: topic.name, known: heap.topics.map(({ name }) => name) })
  }
  if (heap.topics.length >= heap.geometry.topics) {
    return yield* full(heap, `all ${heap.geometry.topics} topics of the region are declared`, "topics")
  }
  const declared = new HeapTopic(topic, heap.geometry)
  heap.topics.push(declared)
  return declared
})

export const hasFreeSession = (heap: Heap): boolean => heap.sessions.some(isFree)

/** A session takes the first slot whose last session has ended. Slot and generation make its id, as in shared memory. */
export const claimSession = (heap: Heap, topic: HeapTopic): Effect.Effect<Session, RegionError> =>
  Effect.suspend(() => {
    const slot = heap.sessions.findIndex(isFree)
    if (slot < 0) return full(heap, `all ${heap.geometry.clients} session slots are taken`, "clients")
    const generation = (heap.sessions[slot]?.generation ?? 0) + 1
    const session = new Session((generation - 1) * heap.geometry.clients + slot + 1, generation, topic)
    heap.sessions[slot] = session
    heap.wakeSequencer()
    return Effect.succeed(session)
  })

/** A reader takes the first free slot; from then on nothing above its cursor is reused. */
export const claimReader = (
  heap: Heap,
  topic: HeapTopic,
  name: string,
  from: From
): Effect.Effect<Reader, RegionError | PositionTrimmed> =>
  Effect.suspend((): Effect.Effect<Reader, RegionError | PositionTrimmed> => {
    const slot = topic.readers.indexOf(undefined)
    if (slot < 0) return full(heap, `all ${heap.geometry.readers} reader slots of the topic are taken`, "readers")
    const requested = typeof from === "object" ? from.position : undefined
    if (requested !== undefined && requested < topic.trimmedMessages) {
      return Effect.fail(new PositionTrimmed({ topic: topic.name, requested, start: topic.trimmedMessages }))
    }
    const reader = { name, cursor: cursorAt(topic, from) }
    topic.readers[slot] = reader
    return Effect.succeed(reader)
  })

// --- internal ---

const isFree = (session: Session | undefined): boolean => session === undefined || session.state === "ended"

const full = (heap: Heap, detail: string, size: Parameters<typeof fullTable>[2]) =>
  Effect.fail(fullTable(heap.region, detail, size))

const describe = ({ ack, order }: Topic.Topic<any>): string => `order "${order}", ack "${ack}"`

const matching = (found: HeapTopic, wanted: Topic.Topic<any>): Effect.Effect<HeapTopic, Topic.TopicMismatch> => {
  const { ack, order } = found.declaration
  if (order === wanted.order && ack === wanted.ack) return Effect.succeed(found)
  return Effect.fail(
    new Topic.TopicMismatch({ topic: wanted.name, wanted: describe(wanted), found: describe(found.declaration) })
  )
}
