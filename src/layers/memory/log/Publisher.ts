/**
 * Publishers in this heap: opens a session and its lanes.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Publisher, PublisherFenced, type PublisherOptions } from "../../../services/Publisher.ts"
import type { Topic } from "../../../services/schema/Topic.ts"
import { checkPublisherOptions } from "../../log/checkOptions.ts"
import { makePublisher } from "../../log/publisher/makePublisher.ts"
import { type Admission, admitting, answered, type SessionOpening } from "../../log/sessionAdmission.ts"
import { claimSession } from "./Claims.ts"
import { HeapLog } from "./HeapLog.ts"
import { makeLanePort } from "./LanePort.ts"
import { closeSession } from "./LogState.ts"
import { untakenSessions } from "./sequencer/unordered.ts"
import { whenFreed } from "./whenFreed.ts"

export const layer = Layer.effect(
  Publisher,
  Effect.map(HeapLog, (log) =>
    Publisher.of({
      open: (topic, options) =>
        Effect.andThen(
          checkPublisherOptions(log.heap.region, topic, options),
          makePublisher(topic, (continues) => admitLanes(log, topic, options, continues), options)
        )
    }))
)

/**
 * Begins to open a session, whose lanes are there once the sequencer has adopted it. It ends with the scope. With an
 * identity it takes that from any other session, or `continues` an incarnation of it; then it fails if a newer session has
 * had it meanwhile.
 */
export const admitLanes = (
  log: HeapLog["Service"],
  topic: Topic<any>,
  options?: PublisherOptions,
  continues = 0
): Effect.Effect<Admission, never, Scope.Scope> =>
  admitting(
    log.heap.region,
    log.waiter,
    options,
    () => untakenSessions(log.heap),
    (opening) => openingLanes(log, topic, { identity: options?.identity, continues }, opening)
  )

// --- internal ---

const openingLanes = (
  log: HeapLog["Service"],
  topic: Topic<any>,
  claim: { readonly identity: string | undefined; readonly continues: number },
  opening: SessionOpening
) =>
  Effect.gen(function*() {
    const { heap, waiter } = log
    yield* waiter.untilServedOrLost
    const lost = waiter.lost()
    if (lost !== undefined) return yield* Effect.fail(lost)
    const session = yield* Effect.uninterruptibleMask((restore) =>
      Effect.acquireRelease(
        whenFreed(log, claimSession(heap, topic, claim), restore),
        (session) => Effect.sync(() => closeSession(heap, session))
      )
    )
    opening.hasSlot = true
    yield* answered(waiter, (): true | undefined => session.state === "claimed" ? undefined : true)
    if (session.state === "ended" && session.endReason === "fenced") {
      return yield* new PublisherFenced({ topic: topic.name, identity: claim.identity ?? "", acknowledged: 0 })
    }
    return makeLanePort(heap, session, waiter)
  })
