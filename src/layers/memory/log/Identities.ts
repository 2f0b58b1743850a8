/**
 * The identities of a region's publishers: names that outlive their sessions, and end with their topics.
 */
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { IdentityState } from "../../../services/Diagnostics.ts"
import { fullTable, type RegionError } from "../../../services/schema/RegionError.ts"
import type * as Topic from "../../../services/schema/Topic.ts"
import { notRestored } from "../../log/restoring.ts"
import { type Heap, type HeapTopic, Identity } from "./LogState.ts"
import { inOnePiece, placeOf } from "./Topics.ts"

/** The identities of the declared topics: the others are over. */
export const identitiesOf = (heap: Heap): ReadonlyArray<Identity> =>
  heap.identities.filter(({ topic }) => heap.topics.includes(topic))

/** The identity of that name in the topic: an existing one, or a new one. */
export const declareIdentity = (heap: Heap, topic: HeapTopic, name: string): Result.Result<Identity, RegionError> => {
  const present = identitiesOf(heap)
  const found = present.find((identity) => identity.topic === topic && identity.name === name)
  if (found !== undefined) return Result.succeed(found)
  const places = 4 * heap.geometry.clients
  if (present.length >= places) {
    return Result.fail(fullTable(heap.region, `all ${places} identities of the region are taken`, "clients"))
  }
  const declared = new Identity(topic, name)
  heap.identities = [...present, declared]
  return Result.succeed(declared)
}

/** Names an identity of which so many records were committed before. */
export const restoreIdentity = (
  heap: Heap,
  topic: Topic.Topic<any>,
  name: string,
  committed: number
): Effect.Effect<void, Topic.TopicError | RegionError> =>
  inOnePiece(topic, () =>
    Result.gen(function*() {
      const declared = yield* placeOf(heap, topic, true)
      if (identitiesOf(heap).some((identity) => identity.topic === declared && identity.name === name)) {
        return yield* Result.fail(notRestored(heap.region, `identity "${name}" of topic "${topic.name}"`))
      }
      const identity = yield* declareIdentity(heap, declared, name)
      identity.base = committed
    }))

export const identityStates = (heap: Heap): ReadonlyArray<IdentityState> =>
  identitiesOf(heap).map(({ base, incarnation, name, session, topic }) => ({
    name,
    topic: topic.name,
    incarnation,
    committed: base + (session?.acknowledgedMessages ?? 0),
    sessionId: session?.id
  }))
