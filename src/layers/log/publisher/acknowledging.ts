/**
 * Waits for acknowledgements, with a deadline whose error names what they wait for.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type SessionAcks, waitingLine } from "../../../services/AckTracker.ts"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import { AckTimeout, type PublishError } from "../../../services/Publisher.ts"
import { showPid } from "../../../services/schema/ProcessId.ts"
import { unanswered } from "../../../services/schema/Server.ts"
import { plural } from "../../../services/text/quantities.ts"
import type { LanePort } from "../../ports/LanePort.ts"
import { endedError, type OpenPublisher, untilResumed } from "./OpenPublisher.ts"

export const awaitAcknowledged = (
  publisher: OpenPublisher,
  count: number
): Effect.Effect<void, PublishError | AckTimeout> => {
  const { builder, topic } = publisher
  if (topic.ack === "none") return Effect.void
  return awaitTrue(publisher, () => builder.acknowledged >= count)
}

export const flush = (publisher: OpenPublisher): Effect.Effect<void, PublishError | AckTimeout> => {
  const { ackMillis, builder, unclaimed } = publisher
  if (!builder.claimed) {
    builder.seal()
    return Effect.andThen(awaitAcknowledged(publisher, builder.accepted), awaitFormer(publisher))
  }
  // Records accepted before an open claim are in its batch: they can only be sealed together.
  return Effect.raceFirst(unclaimed.await, builder.lanes.waiter.untilLost).pipe(
    Effect.andThen(Effect.suspend(() => flush(publisher))),
    Effect.timeoutOrElse({ duration: ackMillis, orElse: () => Effect.fail(ackTimeout(publisher)) })
  )
}

export const acksOf = ({ builder, topic }: OpenPublisher): SessionAcks => {
  const { inFlight, lanes } = builder
  // The lanes of a session that was left may be another's by now.
  if (!builder.isResuming) inFlight.count(lanes)
  const waitingOn = builder.isResuming ? undefined : inFlight.waitingOn()
  return {
    sessionId: lanes.sessionId,
    topic: topic.name,
    published: builder.accepted,
    acknowledged: builder.acknowledged,
    byBroker: [...inFlight.byBroker],
    waitingOn: waitingOn === undefined ? undefined : { ...waitingOn, heldBehind: lanes.gap()?.heldBehind ?? 0 }
  }
}

/** Why the sequencer does not answer. */
export const describeUnanswered = ({ builder }: OpenPublisher): string => {
  const { detail, hint } = unanswered(builder.lanes.waiter.server())
  return `${detail} (${hint})`
}

export const noReplica = "no replica is attached (start the server with --replica DIR)"

// --- internal ---

const awaitTrue = (
  publisher: OpenPublisher,
  check: () => boolean
): Effect.Effect<void, PublishError | AckTimeout> =>
  Effect.flatMap(
    awaiting(publisher, () => check() ? true : publisher.builder.ended()),
    (found) => found === true ? Effect.void : Effect.fail(endedError(publisher, found))
  )

/**
 * Waits until what the identity had committed before is durable: the publisher that committed it is gone, and this one, with
 * nothing more to send, would end as if all were on the disks. If it sends more, its first acknowledgement says so, because
 * what is durable is a prefix of the topic.
 */
const awaitFormer = (publisher: OpenPublisher): Effect.Effect<void, PublishError | AckTimeout> =>
  Effect.suspend(() => {
    const { builder } = publisher
    let point: number | undefined
    return awaitTrue(publisher, () => {
      if (!isFormerOpen(publisher)) return true
      if (builder.isResuming) return false
      point ??= builder.lanes.commitPoint()
      return point !== undefined && builder.lanes.durableIndex() >= point
    })
  })

/** Whether no acknowledgement has told this publisher yet that what its identity had committed before is durable. */
const isFormerOpen = ({ builder }: OpenPublisher): boolean =>
  builder.lanes.isDurable && (builder.lanes.identity?.base ?? 0) > 0 && builder.acknowledged === 0

const isFormerBehind = (publisher: OpenPublisher): boolean => {
  const { lanes } = publisher.builder
  return isFormerOpen(publisher) && (lanes.commitPoint() ?? 0) > lanes.durableIndex()
}

/** How often a wait for acknowledgements logs what it waits for. */
const waitingLineMillis = 5000

// Logs every few seconds which broker and which batch it waits for.
const awaiting = <R>(
  publisher: OpenPublisher,
  check: () => R | undefined
): Effect.Effect<R, RegionLost | AckTimeout> =>
  Effect.gen(function*() {
    let waitedMillis = 0
    while (true) {
      const turnMillis = Math.min(waitingLineMillis, publisher.ackMillis - waitedMillis)
      const found = yield* Effect.timeoutOption(untilResumed(publisher, check), turnMillis)
      if (Option.isSome(found)) return found.value
      waitedMillis += turnMillis
      if (waitedMillis >= publisher.ackMillis) return yield* Effect.fail(ackTimeout(publisher))
      yield* Effect.logInfo(waitingLine(acksOf(publisher)))
    }
  })

const ackTimeout = (publisher: OpenPublisher): AckTimeout | RegionLost => {
  const lost = publisher.builder.lanes.waiter.lost()
  if (lost !== undefined) return lost
  const acks = acksOf(publisher)
  return new AckTimeout({
    topic: publisher.topic.name,
    waitedMillis: publisher.ackMillis,
    acknowledged: acks.acknowledged,
    published: acks.published,
    waiting: [waitingLine(acks), ...waitsFor(publisher)].join("; ")
  })
}

const waitsFor = (publisher: OpenPublisher): ReadonlyArray<string> => {
  if (isUnanswered(publisher)) return [describeUnanswered(publisher)]
  const { builder } = publisher
  if (!builder.lanes.isDurable || builder.isResuming) return []
  return builder.committed > builder.acknowledged || isFormerBehind(publisher) ? [describeReplicas(builder.lanes)] : []
}

const fewerCopies = "start the missing ones, or the server with a smaller number of durable copies"

/** Which replica keeps committed records from being durable: the required one that is furthest behind, or one that is missing. */
const describeReplicas = (lanes: LanePort): string => {
  const required = lanes.requiredCopies()
  const readers = lanes.readers().filter(({ replica }) => replica > 0)
  // The former writer of a replica may be dead, and not be detached yet.
  const ahead = readers.toSorted((a, b) => b.cursor - a.cursor)
  const replicas = ahead.filter(({ name }, i) => ahead.findIndex((reader) => reader.name === name) === i)
  if (replicas.length === 0) {
    return required === 1
      ? noReplica
      : `none of ${required} required replicas is attached (${fewerCopies})`
  }
  const behind = replicas[required - 1]
  if (behind === undefined) {
    const names = replicas.map(({ name }) => `"${name}"`).join(", ")
    const are = replicas.length === 1 ? "is" : "are"
    return `${replicas.length} of ${required} required replicas ${are} attached: ${names} (${fewerCopies})`
  }
  return `replica "${behind.name}" (${showPid(behind)}) is ${plural(behind.behindBatches, "batch", "batches")} behind`
}

/** Whether the sequencer leaves published batches unscanned although neither a gap nor a reader holds it up. */
const isUnanswered = ({ builder: { isResuming, lanes } }: OpenPublisher): boolean =>
  !isResuming && Array.from({ length: lanes.brokers }, (_, broker) => broker).some((broker) => {
    const { published, scanned } = lanes.frontiers(broker)
    return published > scanned && lanes.roomHolder(broker).kind === "sequencer"
  })
