/**
 * Opening the two ends of the log: a session's lanes, and a reader of a topic.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import type { PublisherOptions } from "../../../services/Publisher.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import { unanswered } from "../../../services/schema/Server.ts"
import type { Topic, TopicError } from "../../../services/schema/Topic.ts"
import { defaultFrom, type OpenSubscriberError, type SubscriberOptions } from "../../../services/Subscriber.ts"
import { formatMillis } from "../../../services/text/quantities.ts"
import { admittedInTime } from "../../log/sessionAdmission.ts"
import { processTitle } from "../../node/ProcessTitle.ts"
import type { IndexPort } from "../../ports/IndexPort.ts"
import type { LanePort } from "../../ports/LanePort.ts"
import { claimReader, claimSession } from "./Claims.ts"
import type { HeapLog } from "./HeapLog.ts"
import { HeapIndexPort } from "./IndexPort.ts"
import { makeLanePort } from "./LanePort.ts"
import type { Session } from "./LogState.ts"

type Log = HeapLog["Service"]

/** A session's lanes, once the sequencer has adopted it. The session ends with the scope. */
export const openLanes = (
  log: Log,
  topic: Topic<any>,
  options?: PublisherOptions
): Effect.Effect<LanePort, TopicError | RegionError | RegionLost, Scope.Scope> =>
  Effect.gen(function*() {
    const { heap, waiter } = log
    const lost = waiter.lost()
    if (lost !== undefined) return yield* Effect.fail(lost)
    const session = yield* Effect.uninterruptibleMask((restore) =>
      Effect.acquireRelease(
        whenFreed(log, claimSession(heap, topic), restore),
        (session) => Effect.sync(() => closeSession(log, session))
      )
    )
    yield* waiter.until((): true | undefined => session.state === "claimed" ? undefined : true)
    return makeLanePort(heap, session, waiter)
  }).pipe(admittedInTime(log.heap.region, log.waiter, options))

/** A reader, attached until the scope closes. */
export const openReader = (
  log: Log,
  topic: Topic<any>,
  options?: SubscriberOptions
): Effect.Effect<IndexPort, OpenSubscriberError, Scope.Scope> => {
  const { heap, poisonReleased, waiter } = log
  const claim = claimReader(heap, topic, {
    name: options?.name ?? processTitle(),
    from: options?.from ?? defaultFrom,
    mustExist: options?.mustExist === true
  })
  return Effect.uninterruptibleMask((restore) =>
    Effect.acquireRelease(
      Effect.map(
        whenFreed(log, claim, (freed) => restore(freedInTime(log, freed))),
        ({ declared, reader }) => {
          // Publishers may wait for readers of their topic.
          heap.members.ring()
          return new HeapIndexPort(heap, declared, reader, waiter, poisonReleased)
        }
      ),
      (port) => Effect.sync(port.detach)
    )
  )
}

// --- internal ---

/** As long as a reader over shared memory waits for a place that is about to come free. */
const freedMillis = 3000

// A session that is closing gives back its slot, and the place of its topic, by itself, unless the sequencer advances
// by steps only, so wait for it. Only the waits can be interrupted, so that every claim is given back.
const whenFreed = <A, E, F>(
  log: Log,
  claim: Effect.Effect<A, E | RegionError>,
  waiting: (freed: Effect.Effect<true, RegionLost>) => Effect.Effect<true, F>
): Effect.Effect<A, E | F | RegionError> =>
  Effect.catchIf(claim, isOfSessions, (full) =>
    Effect.suspend((): Effect.Effect<A, E | F | RegionError> => {
      const { heap, order, waiter } = log
      const closing = heap.sessions.filter((session) => session?.closing === true && session.state !== "ended")
      if (order.options.manual || closing.length === 0) return Effect.fail(full)
      const hasEnded = (): true | undefined => closing.some((session) => session?.state === "ended") ? true : undefined
      return Effect.andThen(waiting(waiter.until(hasEnded)), whenFreed(log, claim, waiting))
    }))

/** Full of what ends with sessions: their slots, and topics. */
const isOfSessions = (error: unknown): error is RegionError =>
  error instanceof RegionError && error.fault === "full" && error.sizes?.includes("readers") !== true

const freedInTime = ({ heap, waiter }: Log, freed: Effect.Effect<true, RegionLost>) =>
  Effect.timeoutOrElse(freed, {
    duration: freedMillis,
    orElse: () => {
      const { detail, hint } = unanswered(waiter.server())
      const waited = `no topic gave its place within ${formatMillis(freedMillis)} to a new one`
      return Effect.fail(
        new RegionError({ fault: "notAnswering", region: heap.region, detail: `${waited}: ${detail}`, hint })
      )
    }
  })

// One that was not adopted yet has nothing that would have to be seen first.
const closeSession = ({ heap }: Log, session: Session): void => {
  session.closing = true
  if (session.state === "claimed") {
    session.state = "ended"
    heap.leave(session.topic)
  }
  heap.wakeSequencer()
  heap.members.ring()
}
