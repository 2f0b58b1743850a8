/**
 * Subscribers in this heap: opens a reader of a topic.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import { unanswered } from "../../../services/schema/Server.ts"
import type { Topic } from "../../../services/schema/Topic.ts"
import { defaultFrom, type OpenReaderError, Subscriber, type SubscriberOptions } from "../../../services/Subscriber.ts"
import { formatMillis } from "../../../services/text/quantities.ts"
import { checkBounds, checkSubscriberOptions } from "../../log/checkOptions.ts"
import { openWithCursor } from "../../log/cursor/openWithCursor.ts"
import { openWithHistory } from "../../log/history/openWithHistory.ts"
import { makeSubscriber } from "../../log/makeSubscriber.ts"
import { processTitle } from "../../node/ProcessTitle.ts"
import type { IndexPort } from "../../ports/IndexPort.ts"
import type { ReplicaRole } from "../../ports/ReplicatedLog.ts"
import { claimReader } from "./Claims.ts"
import { takeCursor } from "./Cursors.ts"
import { boundsIn } from "./Durability.ts"
import { HeapLog } from "./HeapLog.ts"
import { HeapIndexPort, HeapUngatedPort } from "./IndexPort.ts"
import { HeapLaneReader } from "./LaneReader.ts"
import { inOnePiece, placeOf } from "./Topics.ts"
import { whenFreed } from "./whenFreed.ts"

export const layer = Layer.effect(
  Subscriber,
  Effect.map(HeapLog, (log) =>
    Subscriber.of({
      open: (topic, options) =>
        checkSubscriberOptions(log.heap.region, topic, options).pipe(
          Effect.andThen(readable(log)),
          Effect.andThen(
            openWithCursor(topic, options, { take: takeCursor(log.heap), waiter: log.waiter }, (options, holding) =>
              openWithHistory(topic, options, log.history, {
                open: (from) => openReader(log, topic, { ...options, from }),
                openUngated: (from) =>
                  openUngated(log, topic, { ...options, from }),
                bounds: boundsOf(log, topic),
                waiter: log.waiter
              }).pipe(Effect.flatMap((reader) =>
                makeSubscriber(topic, reader, options, holding)
              )))
          )
        ),
      bounds: (topic) => boundsOf(log, topic)
    }))
)

/** A reader, attached until the scope closes. */
export const openReader = (
  log: HeapLog["Service"],
  topic: Topic<any>,
  options?: SubscriberOptions,
  replica?: ReplicaRole
): Effect.Effect<IndexPort, OpenReaderError, Scope.Scope> => {
  const { heap, poisonReleased: poisons, waiter } = log
  return openPort(log, topic, { ...options, replica, isLapped: false }, ({ declared, reader }) =>
    declared.isOrdered
      ? new HeapIndexPort(heap, declared, reader, waiter, { poisons, isDurable: options?.isolation === "durable" })
      : new HeapLaneReader(heap, declared, reader, waiter, { atEnd: options?.from === "end", poisons }))
}

// --- internal ---

/** The same for a reader that holds nothing back. */
const openUngated = (log: HeapLog["Service"], topic: Topic<any>, options: SubscriberOptions) =>
  openPort(
    log,
    topic,
    { ...options, isLapped: true },
    ({ declared, reader }) =>
      new HeapUngatedPort(log.heap, declared, reader, log.waiter, {
        poisons: log.poisonReleased,
        isDurable: options.isolation === "durable"
      })
  )

type Claimed = Effect.Success<ReturnType<typeof claimReader>>

const openPort = <A extends { readonly detach: () => void }>(
  log: HeapLog["Service"],
  topic: Topic<any>,
  options: SubscriberOptions & { readonly isLapped: boolean; readonly replica?: ReplicaRole | undefined },
  make: (claimed: Claimed) => A
): Effect.Effect<A, OpenReaderError, Scope.Scope> => {
  const { isLapped, replica } = options
  const claim = claimReader(log.heap, topic, {
    name: options.name ?? processTitle(),
    from: options.from ?? defaultFrom,
    mustExist: options.mustExist === true,
    replica,
    isLapped
  })
  return Effect.uninterruptibleMask((restore) =>
    Effect.acquireRelease(
      Effect.map(whenFreed(log, claim, (freed) => restore(freedInTime(log, freed))), (claimed) => {
        // Wake publishers that wait for readers of their topic.
        log.heap.members.ring()
        return make(claimed)
      }),
      (port) => Effect.sync(port.detach)
    )
  )
}

// A log that has ended can still be read; one whose server is dead only once another continues it.
const readable = ({ waiter }: HeapLog["Service"]): Effect.Effect<void, RegionLost> =>
  Effect.andThen(
    waiter.untilServedOrLost,
    Effect.suspend(() => {
      const lost = waiter.lost()
      return lost !== undefined && lost.reason !== "stopped" ? Effect.fail(lost) : Effect.void
    })
  )

const boundsOf = (log: HeapLog["Service"], topic: Topic<any>) => {
  const { heap } = log
  return Effect.andThen(
    Effect.andThen(checkBounds(heap.region, topic), readable(log)),
    inOnePiece(topic, () => Result.map(placeOf(heap, topic, true), boundsIn))
  )
}

/** How long a reader waits for a place that is about to be freed; the same as over shared memory. */
const freedMillis = 3000

const freedInTime = ({ heap, waiter }: HeapLog["Service"], freed: Effect.Effect<true, RegionLost>) =>
  Effect.timeoutOrElse(freed, {
    duration: freedMillis,
    orElse: () => {
      const { detail, hint } = unanswered(waiter.server())
      const waited = `no unused topic gave up its place within ${formatMillis(freedMillis)}`
      return Effect.fail(
        new RegionError({ fault: "notAnswering", region: heap.region, detail: `${waited}: ${detail}`, hint })
      )
    }
  })
