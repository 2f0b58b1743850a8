/**
 * Makes a publisher over a session's lanes: waits for room and for acknowledgements, with deadlines whose errors name
 * what they waited for. `BatchBuilder` is the part that never waits.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import { type SessionAcks, waitingLine } from "../../services/AckTracker.ts"
import type { RegionLost } from "../../services/CxlMemory.ts"
import { countRefused, countWithin } from "../../services/input/ArgumentInvalid.ts"
import { millisOf } from "../../services/input/DurationInput.ts"
import {
  AckTimeout,
  Backpressure,
  type Claim,
  PublisherClosed,
  type PublisherHandle,
  type PublisherOptions,
  type PublishError,
  RecordTooLarge
} from "../../services/Publisher.ts"
import { showPid } from "../../services/schema/ProcessId.ts"
import { unanswered } from "../../services/schema/Server.ts"
import type { Topic } from "../../services/schema/Topic.ts"
import { ValueInvalid } from "../../services/schema/ValueInvalid.ts"
import type { LanePort, RoomHolder, SessionEnd } from "../ports/LanePort.ts"
import { BatchBuilder } from "./BatchBuilder.ts"

/**
 * A publisher over a session's lanes. Closing its scope publishes the accepted records; the backend that opened the
 * lanes closes them after that.
 */
export const makePublisher = Effect.fnUntraced(function*<A>(
  topic: Topic<A>,
  lanes: LanePort,
  options?: PublisherOptions
): Effect.fn.Return<PublisherHandle<A>, never, Scope.Scope> {
  const lingering = yield* makeLingering(millisOf("linger", options?.linger ?? 0))
  const publishLate = yield* skewedPublication(lanes, millisOf("skew", options?.skew ?? 0))
  const builder = new BatchBuilder(
    lanes,
    options?.batchBytes ?? lanes.batchBytes,
    lingering.onOpen,
    publishLate ?? ((broker) => lanes.publish(broker))
  )
  const unclaimed = Latch.makeUnsafe(true)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      builder.close()
      unclaimed.openUnsafe()
      for (let broker = 0; broker < lanes.brokers; broker += 1) lanes.publish(broker)
    })
  )
  yield* Effect.forkScoped(lingering.sealing(builder))
  return handleOf({
    topic,
    lanes,
    builder,
    unclaimed,
    roomMillis: millisOf("roomDeadline", options?.roomDeadline ?? "30 seconds"),
    ackMillis: millisOf("ackDeadline", options?.ackDeadline ?? "60 seconds")
  })
})

// --- internal ---

interface Session<A> {
  readonly topic: Topic<A>
  readonly lanes: LanePort
  readonly builder: BatchBuilder
  /** Open while there is no open claim. */
  readonly unclaimed: Latch.Latch
  readonly roomMillis: number
  readonly ackMillis: number
}

/** How often a wait for acknowledgements logs what it waits for. */
const waitingLineMillis = 5000

/** Records that `sendAll` accepts before it yields to other fibers. */
const recordsPerTurn = 1024

const handleOf = <A>(session: Session<A>): PublisherHandle<A> => {
  const { lanes, builder, topic } = session
  const codec = topic.codec
  const encode = codec === undefined ? (record: A) => record as Uint8Array : (record: A) => codec.encode(record)
  const accepts = (bytes: Uint8Array | ValueInvalid) => !(bytes instanceof ValueInvalid) && builder.append(bytes)
  const sendSlowly = (bytes: Uint8Array | ValueInvalid) =>
    bytes instanceof ValueInvalid ? Effect.fail(bytes) : waitToSend(session, bytes)
  const sendNow = (record: A) => {
    const bytes = encode(record)
    return accepts(bytes) ? undefined : sendSlowly(bytes)
  }
  const sendAll = (records: Iterable<A>) => sendEach(records, sendNow)
  return {
    topic: topic.name,
    sessionId: lanes.sessionId,
    offer: codec === undefined ? (record) => builder.append(record as Uint8Array) : (record) => accepts(encode(record)),
    send: (record) => Effect.suspend(() => sendNow(record) ?? Effect.void),
    sendAll,
    sink: Sink.forEachArray(sendAll),
    claim: (bytes) => Effect.andThen(countWithin("claim", "bytes", bytes), claimRecord(session, bytes)),
    flush: Effect.suspend(() => flush(session)),
    seal: () => builder.seal(),
    awaitAcknowledged: (count) =>
      Effect.andThen(countWithin("awaitAcknowledged", "count", count), awaitAcknowledged(session, count)),
    lost: lanes.waiter.untilLost,
    readers: () => lanes.readers(),
    awaitReaders: (count) =>
      Effect.andThen(
        countWithin("awaitReaders", "count", count, lanes.readersMax),
        Effect.asVoid(lanes.waiter.until(() => lanes.readers().length >= count ? true : undefined))
      ),
    accepted: () => builder.accepted,
    acknowledged: () => lanes.committedMessages(),
    acks: () => sessionAcks(session),
    fullEvents: () => lanes.fullEvents()
  }
}

// Seals the open batch at the end of the event-loop turn or of the linger, unless its size sealed it before.
const makeLingering = Effect.fnUntraced(function*(lingerMillis: number) {
  const clock = yield* Clock.Clock
  const opened = Latch.makeUnsafe(false)
  let openedMillis = 0
  return {
    onOpen: () => {
      if (lingerMillis > 0) openedMillis = clock.currentTimeMillisUnsafe()
      opened.openUnsafe()
    },
    sealing: (builder: BatchBuilder) =>
      Effect.gen(function*() {
        while (true) {
          yield* opened.await
          opened.closeUnsafe()
          const batch = builder.sequence
          const leftMillis = openedMillis + lingerMillis - clock.currentTimeMillisUnsafe()
          yield* lingerMillis > 0 ? Effect.sleep(Math.max(0, leftMillis)) : Effect.yieldNow
          if (builder.sequence === batch) builder.seal()
        }
      })
  }
})

// One fiber a broker, so that batches on other brokers overtake the delayed one.
const skewedPublication = Effect.fnUntraced(function*(lanes: LanePort, skewMillis: number) {
  if (skewMillis === 0) return undefined
  const written = Array.from({ length: lanes.brokers }, () => Latch.makeUnsafe(false))
  const publishLate = (broker: number) =>
    Effect.gen(function*() {
      const latch = written[broker] as Latch.Latch
      while (true) {
        yield* latch.await
        latch.closeUnsafe()
        yield* Effect.sleep((yield* Random.next) * skewMillis)
        lanes.publish(broker)
      }
    })
  for (let broker = 0; broker < lanes.brokers; broker += 1) yield* Effect.forkScoped(publishLate(broker))
  return (broker: number): void => {
    written[broker]?.openUnsafe()
  }
})

const closedError = (session: Session<any>, reason: SessionEnd) =>
  new PublisherClosed({ topic: session.topic.name, reason, acknowledged: session.lanes.committedMessages() })

/** Why waiting cannot help: the record never fits, or the publisher or its session has ended. */
const refusal = (session: Session<any>, recordBytes: number): PublishError | undefined => {
  const { builder, topic } = session
  if (recordBytes > builder.recordBytesMax) {
    return new RecordTooLarge({ topic: topic.name, recordBytes, limitBytes: builder.recordBytesMax })
  }
  if (builder.closed) return closedError(session, "closed")
  const end = builder.ended()
  return end === undefined ? undefined : closedError(session, end)
}

const backpressure = (session: Session<any>): Backpressure | RegionLost => {
  const lost = session.lanes.waiter.lost()
  if (lost !== undefined) return lost
  const holder = session.builder.claimed
    ? { kind: "claim" as const }
    : session.lanes.roomHolder(session.builder.broker)
  return new Backpressure({
    topic: session.topic.name,
    waitedMillis: session.roomMillis,
    waitingOn: describeHolder(session, holder),
    waitingOnOwnSubscriber: holder.kind === "reader" && holder.own
  })
}

/** Waits until `attempt` finds room. Fails when the publisher is closed, its session ends or the server is lost. */
const waitForRoom = <R>(
  session: Session<any>,
  recordBytes: number,
  attempt: () => R | undefined
): Effect.Effect<R, PublishError> => {
  const { lanes, builder, unclaimed } = session
  const check = () => builder.claimed ? claimed : attempt() ?? refusal(session, recordBytes)
  return Effect.gen(function*() {
    lanes.wantRoom()
    while (true) {
      if (builder.claimed) yield* Effect.raceFirst(unclaimed.await, lanes.waiter.untilLost)
      const found = yield* lanes.waiter.until(check)
      if (isPublishError(found)) return yield* Effect.fail(found)
      if (found !== claimed) return found as R
    }
  }).pipe(
    Effect.timeoutOrElse({ duration: session.roomMillis, orElse: () => Effect.fail(backpressure(session)) })
  )
}

const claimed = Symbol("claimed")

const isPublishError = (found: unknown): found is RecordTooLarge | PublisherClosed =>
  found instanceof RecordTooLarge || found instanceof PublisherClosed

const waitToSend = (session: Session<any>, bytes: Uint8Array): Effect.Effect<void, PublishError> =>
  Effect.asVoid(waitForRoom(session, bytes.length, () => session.builder.append(bytes) ? true : undefined))

const sendEach = <A>(
  records: Iterable<A>,
  sendNow: (record: A) => Effect.Effect<void, PublishError> | undefined
): Effect.Effect<void, PublishError> =>
  Effect.gen(function*() {
    let taken = 0
    for (const record of records) {
      const sending = sendNow(record)
      if (sending !== undefined) yield* sending
      taken += 1
      if (taken % recordsPerTurn === 0) yield* Effect.yieldNow
    }
  })

const claimRecord = <A>(session: Session<A>, bytes: number): Effect.Effect<Claim, PublishError, Scope.Scope> => {
  const { builder, unclaimed } = session
  const take = () => {
    const room = builder.claim(bytes)
    if (room !== undefined) unclaimed.closeUnsafe()
    return room
  }
  const end = (give: () => void) => {
    give()
    unclaimed.openUnsafe()
  }
  return Effect.map(
    Effect.acquireRelease(
      Effect.map(waitForRoom(session, bytes, take), (room) => ({ room, open: true })),
      (claim) => Effect.sync(() => claim.open && end(() => builder.abortClaim())),
      { interruptible: true }
    ),
    (claim) => ({
      bytes: claim.room,
      commit: (length = bytes) => {
        if (!claim.open || builder.closed) return
        const refused = countRefused("commit", "length", length, bytes)
        if (refused !== undefined) throw refused
        claim.open = false
        end(() => builder.commitClaim(length))
      }
    })
  )
}

const awaitAcknowledged = (session: Session<any>, count: number): Effect.Effect<void, PublishError | AckTimeout> => {
  const { builder, lanes, topic } = session
  if (topic.ack === "none") return Effect.void
  const check = () => lanes.committedMessages() >= count ? true : builder.ended()
  return awaiting(session, check).pipe(
    Effect.flatMap((found) => found === true ? Effect.void : Effect.fail(closedError(session, found)))
  )
}

const flush = (session: Session<any>): Effect.Effect<void, PublishError | AckTimeout> => {
  const { builder } = session
  if (!builder.claimed) {
    builder.seal()
    return awaitAcknowledged(session, builder.accepted)
  }
  // Records accepted before an open claim are in its batch: they can only be sealed together.
  return Effect.raceFirst(session.unclaimed.await, session.lanes.waiter.untilLost).pipe(
    Effect.andThen(Effect.suspend(() => flush(session))),
    Effect.timeoutOrElse({ duration: session.ackMillis, orElse: () => Effect.fail(ackTimeout(session)) })
  )
}

// Waits for acknowledgements, and logs every few seconds which broker and which batch it waits for.
const awaiting = <R>(session: Session<any>, check: () => R | undefined): Effect.Effect<R, RegionLost | AckTimeout> =>
  Effect.gen(function*() {
    let waitedMillis = 0
    while (true) {
      const turnMillis = Math.min(waitingLineMillis, session.ackMillis - waitedMillis)
      const found = yield* Effect.timeoutOption(session.lanes.waiter.until(check), turnMillis)
      if (Option.isSome(found)) return found.value
      waitedMillis += turnMillis
      if (waitedMillis >= session.ackMillis) return yield* Effect.fail(ackTimeout(session))
      yield* Effect.logInfo(waitingLine(sessionAcks(session)))
    }
  })

const ackTimeout = (session: Session<any>): AckTimeout | RegionLost => {
  const lost = session.lanes.waiter.lost()
  if (lost !== undefined) return lost
  const acks = sessionAcks(session)
  return new AckTimeout({
    topic: session.topic.name,
    waitedMillis: session.ackMillis,
    acknowledged: acks.acknowledged,
    published: acks.published,
    waiting: isUnanswered(session) ? `${waitingLine(acks)}; ${describeUnanswered(session)}` : waitingLine(acks)
  })
}

/** Whether the sequencer leaves published batches unscanned although neither a gap nor a reader holds it up. */
const isUnanswered = ({ lanes }: Session<any>): boolean =>
  Array.from({ length: lanes.brokers }, (_, broker) => broker).some((broker) => {
    const { published, scanned } = lanes.frontiers(broker)
    return published > scanned && lanes.roomHolder(broker).kind === "sequencer"
  })

const describeUnanswered = ({ lanes }: Session<any>): string => {
  const { detail, hint } = unanswered(lanes.waiter.server())
  return `${detail} (${hint})`
}

const sessionAcks = ({ lanes, builder, topic }: Session<any>): SessionAcks => {
  builder.inFlight.count(lanes)
  const waitingOn = builder.inFlight.waitingOn()
  return {
    sessionId: lanes.sessionId,
    topic: topic.name,
    published: builder.accepted,
    acknowledged: lanes.committedMessages(),
    byBroker: [...builder.inFlight.byBroker],
    waitingOn: waitingOn === undefined ? undefined : { ...waitingOn, heldBehind: lanes.gap()?.heldBehind ?? 0 }
  }
}

const describeHolder = (session: Session<any>, holder: RoomHolder | { readonly kind: "claim" }): string => {
  switch (holder.kind) {
    case "reader": {
      const where = holder.own ? `${showPid(holder)}, this process` : showPid(holder)
      return `subscriber "${holder.name}" (${where}), which has not released the batches lent to it`
    }
    case "gap":
      return `batch ${holder.batch} of this session on broker ${holder.broker}, which is not published yet`
    case "sequencer":
      return describeUnanswered(session)
    case "claim":
      return "a claim of this publisher, which is neither committed nor closed"
  }
}
