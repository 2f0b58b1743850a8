/**
 * Opening the two ends of the log: a session's lanes, and a reader of a topic.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import type { PublisherOptions } from "../../../services/Publisher.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import type { Topic, TopicError } from "../../../services/schema/Topic.ts"
import { defaultFrom, type OpenSubscriberError, type SubscriberOptions } from "../../../services/Subscriber.ts"
import { admittedInTime } from "../../log/sessionAdmission.ts"
import { processTitle } from "../../node/ProcessTitle.ts"
import type { IndexPort } from "../../ports/IndexPort.ts"
import type { LanePort } from "../../ports/LanePort.ts"
import { claimReader, claimSession, declareTopic, hasFreeSession } from "./Claims.ts"
import type { HeapLog } from "./HeapLog.ts"
import { HeapIndexPort } from "./IndexPort.ts"
import { makeLanePort } from "./LanePort.ts"
import type { HeapTopic, Session } from "./LogState.ts"

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
    const declared = yield* declareTopic(heap, topic)
    const session = yield* Effect.acquireRelease(
      claiming(log, declared),
      (session) => Effect.sync(() => closeSession(log, session)),
      { interruptible: true }
    )
    yield* waiter.until((): true | undefined => session.state === "claimed" ? undefined : true)
    return makeLanePort(heap, session, waiter)
  }).pipe(admittedInTime(log.heap.region, log.waiter, options))

/** A reader, attached until the scope closes. */
export const openReader = (
  log: Log,
  topic: Topic<any>,
  options?: SubscriberOptions
): Effect.Effect<IndexPort, OpenSubscriberError, Scope.Scope> =>
  Effect.gen(function*() {
    const { heap, poisonReleased, waiter } = log
    const declared = yield* declareTopic(heap, topic, options?.mustExist)
    return yield* Effect.acquireRelease(
      Effect.map(
        claimReader(heap, declared, options?.name ?? processTitle(), options?.from ?? defaultFrom),
        (reader) => {
          // Publishers may wait for readers of their topic.
          heap.members.ring()
          return new HeapIndexPort(heap, declared, reader, waiter, poisonReleased)
        }
      ),
      (port) => Effect.sync(port.detach)
    )
  })

// --- internal ---

// A slot whose session is closing comes free by itself, unless each step of the sequencer is asked for: it is waited for.
const claiming = (log: Log, topic: HeapTopic): Effect.Effect<Session, RegionError | RegionLost> =>
  Effect.suspend(() => {
    const { heap, order, waiter } = log
    const isFreeing = heap.sessions.some((session) => session?.closing === true && session.state !== "ended")
    if (order.options.manual || !isFreeing || hasFreeSession(heap)) return claimSession(heap, topic)
    return Effect.andThen(waiter.until(() => hasFreeSession(heap) ? true : undefined), claiming(log, topic))
  })

// One that was not adopted yet has nothing that would have to be seen first.
const closeSession = ({ heap }: Log, session: Session): void => {
  session.closing = true
  if (session.state === "claimed") session.state = "ended"
  heap.wakeSequencer()
  heap.members.ring()
}
