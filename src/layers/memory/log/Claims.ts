/**
 * Takes places in the tables of a region: for sessions and for readers.
 *
 * A claim and the declaration of its topic are one step: between the two, another opening could free the topic's place.
 */
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type RegionError, sessionsFull } from "../../../services/schema/RegionError.ts"
import type * as Topic from "../../../services/schema/Topic.ts"
import { type From, PositionTrimmed } from "../../../services/Subscriber.ts"
import { processTitle } from "../../node/ProcessTitle.ts"
import type { ReplicaRole } from "../../ports/ReplicatedLog.ts"
import { declareIdentity } from "./Identities.ts"
import { cursorAt } from "./IndexPort.ts"
import { type Heap, type HeapTopic, isQuarantined, type Reader, Session, sessionsOf } from "./LogState.ts"
import { full, inOnePiece, placeOf } from "./Topics.ts"

/**
 * Claims the first slot whose last session has ended, and was closed by its client. Slot and generation make the
 * session's id, as in shared memory.
 */
export const claimSession = (
  heap: Heap,
  topic: Topic.Topic<any>,
  { continues = 0, identity }: { readonly identity?: string | undefined; readonly continues?: number } = {}
): Effect.Effect<Session, Topic.TopicError | RegionError> =>
  inOnePiece(topic, () =>
    Result.gen(function*() {
      const declared = yield* placeOf(heap, topic, false)
      const slot = heap.sessions.findIndex(isFree)
      if (slot < 0) return yield* Result.fail(fullOfSessions(heap))
      const claim = identity === undefined
        ? undefined
        : { identity: yield* declareIdentity(heap, declared, identity), continues }
      const generation = (heap.sessions[slot]?.generation ?? 0) + 1
      const id = (generation - 1) * heap.geometry.clients + slot + 1
      const session = new Session(id, generation, declared, claim)
      heap.sessions[slot] = session
      heap.wakeSequencer()
      return session
    }))

export interface ReaderOptions {
  readonly name: string
  readonly from: From
  /** Fails if the topic is not declared. */
  readonly mustExist: boolean
  readonly replica?: ReplicaRole | undefined
  /** It holds nothing back. */
  readonly isLapped?: boolean | undefined
}

/** Claims the first free reader slot; from then on no memory at or above the cursor is reused. */
export const claimReader = (
  heap: Heap,
  topic: Topic.Topic<any>,
  { from, isLapped = false, mustExist, name, replica }: ReaderOptions
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
      const cursor = declared.isOrdered ? cursorAt(declared, from) : 0
      const reader: Reader = { name, replica, cursor, gates: !isLapped, storedCursors: 0, lanes: new Map() }
      declared.readers[slot] = reader
      return { declared, reader }
    }))

// --- internal ---

const isFree = (session: Session | undefined): boolean =>
  session === undefined || (session.state === "ended" && !isQuarantined(session))

const fullOfSessions = (heap: Heap): RegionError => {
  const quarantined = sessionsOf(heap).filter(isQuarantined)
  const holder = { name: processTitle(), pid: process.pid }
  return sessionsFull(heap.region, heap.geometry.clients, quarantined.map(() => holder))
}
