/**
 * Publishers in this heap: opens a session and its lanes.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import { Publisher, type PublisherOptions } from "../../../services/Publisher.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import type { Topic, TopicError } from "../../../services/schema/Topic.ts"
import { checkPublisherOptions } from "../../log/checkOptions.ts"
import { makePublisher } from "../../log/makePublisher.ts"
import { admittedInTime, type SessionOpening } from "../../log/sessionAdmission.ts"
import type { LanePort } from "../../ports/LanePort.ts"
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
        checkPublisherOptions(log.heap.region, options).pipe(
          Effect.flatMap(() => openLanes(log, topic, options)),
          Effect.flatMap((lanes) => makePublisher(topic, lanes, options))
        )
    }))
)

/** A session's lanes, once the sequencer has adopted it. The session ends with the scope. */
export const openLanes = (
  log: HeapLog["Service"],
  topic: Topic<any>,
  options?: PublisherOptions
): Effect.Effect<LanePort, TopicError | RegionError | RegionLost, Scope.Scope> =>
  admittedInTime(
    log.heap.region,
    log.waiter,
    options,
    () => untakenSessions(log.heap),
    (opening) => openingLanes(log, topic, opening)
  )

// --- internal ---

const openingLanes = (log: HeapLog["Service"], topic: Topic<any>, opening: SessionOpening) =>
  Effect.gen(function*() {
    const { heap, waiter } = log
    yield* waiter.untilServedOrLost
    const lost = waiter.lost()
    if (lost !== undefined) return yield* Effect.fail(lost)
    const session = yield* Effect.uninterruptibleMask((restore) =>
      Effect.acquireRelease(
        whenFreed(log, claimSession(heap, topic), restore),
        (session) => Effect.sync(() => closeSession(heap, session))
      )
    )
    opening.hasSlot = true
    yield* waiter.until((): true | undefined => session.state === "claimed" ? undefined : true)
    return makeLanePort(heap, session, waiter)
  })
