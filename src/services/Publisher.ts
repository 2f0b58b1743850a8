/**
 * The writing side of the log: packs records into batches and stripes them over the brokers.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import type { LaneWriter, RoomHolder, SessionEnd } from "../layers/ports/LanePort.ts"
import { type SessionAcks, waitingLine } from "./AckTracker.ts"
import type { RegionLost } from "./CxlMemory.ts"
import type { ReaderState } from "./Diagnostics.ts"
import { millisOf } from "./input/DurationInput.ts"
import { readOptions, refuseUnless } from "./input/OptionInvalid.ts"
import { Packer } from "./Packer.ts"
import {
  AckTimeout,
  Backpressure,
  PublisherClosed,
  type PublishError,
  RecordTooLarge,
  ValueInvalid
} from "./PublishError.ts"
import { showPid } from "./schema/ProcessId.ts"
import type { RegionError } from "./schema/RegionError.ts"
import { unanswered } from "./schema/Server.ts"
import type { Topic, TopicError } from "./schema/Topic.ts"

export * from "./PublishError.ts"

export interface PublisherOptions {
  /** How long `open` waits to be admitted by the log's server. Default 10 seconds. */
  readonly openDeadline?: Duration.Input | undefined
  /** How long an unfilled batch may wait for more records. 0 (default) seals it at the end of the event-loop turn. */
  readonly linger?: Duration.Input | undefined
  /** How long `send` waits for room before it fails with {@link Backpressure}. Default 30 seconds. */
  readonly roomDeadline?: Duration.Input | undefined
  /** How long `flush` waits for acknowledgements before it fails with {@link AckTimeout}. Default 60 seconds. */
  readonly ackDeadline?: Duration.Input | undefined
  /** Bytes at which a batch is sealed, at most the region's `batchBytes`, which is the default. */
  readonly batchBytes?: number | undefined
  /** Publishes each broker's batches late, by a random time up to this. For tests and demonstrations of the order. */
  readonly skew?: Duration.Input | undefined
}

/** A record's bytes, being written in place. Nothing of it is published before `commit`. */
export interface Claim {
  readonly bytes: Uint8Array
  /** The record is complete, `length` bytes of it (default: all). */
  readonly commit: (length?: number) => void
}

/**
 * One session of one topic. Records of a session are numbered from 0 in the order in which they were accepted.
 */
export interface PublisherHandle<in A> {
  readonly topic: string
  readonly sessionId: number
  /**
   * Accepts the record if there is room and says whether it did. Synchronous, copies the bytes, allocates nothing.
   * `false` also when the record can never fit, when its schema cannot encode it, or when the session has ended: `send`
   * then tells which.
   */
  readonly offer: (record: A) => boolean
  /**
   * Accepts the record, waiting for room. A value that its schema cannot encode fails with {@link ValueInvalid}; the
   * publisher goes on, as after a record that is too large.
   */
  readonly send: (record: A) => Effect.Effect<void, PublishError>
  /** `send` for each, up to the first that fails: those before it are accepted, those behind it are not. */
  readonly sendAll: (records: Iterable<A>) => Effect.Effect<void, PublishError>
  readonly sink: Sink.Sink<void, A, never, PublishError>
  /**
   * A record of `bytes` bytes written in place, without a copy. The claim ends with its scope: what was not
   * committed by then never existed. One claim at a time.
   */
  readonly claim: (bytes: number) => Effect.Effect<Claim, PublishError, Scope.Scope>
  /** Everything accepted so far is published and, under `ack: "ordered"`, acknowledged when this returns. */
  readonly flush: Effect.Effect<void, PublishError | AckTimeout>
  /** Seals and publishes what is accepted, without waiting for anything. */
  readonly seal: () => void
  /** Resolves when the first `count` records of the session are acknowledged. */
  readonly awaitAcknowledged: (count: number) => Effect.Effect<void, PublishError | AckTimeout>
  /**
   * Fails as soon as the log's server is gone, also while nothing is sent: race it with what the records come from.
   * Waiting for it costs nothing while records are sent.
   */
  readonly lost: Effect.Effect<never, RegionLost>
  /** The subscribers attached to the topic now. One that was killed counts until its end was noticed, within a second. */
  readonly readers: () => ReadonlyArray<ReaderState>
  /**
   * Resolves once so many subscribers are attached: what is sent afterwards is kept for each of them. Give it a deadline
   * with `Effect.timeout` where they may never come.
   */
  readonly awaitReaders: (count: number) => Effect.Effect<void, RegionLost>
  /** Records accepted. */
  readonly accepted: () => number
  /** Records acknowledged: the committed prefix of this session. */
  readonly acknowledged: () => number
  readonly acks: () => SessionAcks
  /** Times a lane was found full. */
  readonly fullEvents: () => number
}

export type OpenPublisherError = TopicError | RegionError | RegionLost

/**
 * Opens sessions for writing. Closing the scope flushes what is published, ends the session and frees its lanes.
 *
 * @example
 * ```ts
 * import { Publisher, Topic } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const Lines = Topic.make("lines")
 * const program = Effect.gen(function*() {
 *   const publisher = yield* Publisher.open(Lines)
 *   yield* publisher.send(new TextEncoder().encode("hello"))
 *   yield* publisher.flush
 * })
 * ```
 */
export class Publisher extends Context.Service<Publisher, {
  readonly open: <A>(
    topic: Topic<A>,
    options?: PublisherOptions
  ) => Effect.Effect<PublisherHandle<A>, OpenPublisherError, Scope.Scope>
}>()("ringfence/Publisher") {
  static open<A>(
    topic: Topic<A>,
    options?: PublisherOptions
  ): Effect.Effect<PublisherHandle<A>, OpenPublisherError, Scope.Scope | Publisher> {
    return Publisher.use((publisher) => publisher.open(topic, options))
  }
}

/** Refuses options that cannot be, before a session is opened. For the backends of layers. */
export const checkPublisherOptions = (
  region: string,
  options: PublisherOptions = {}
): Effect.Effect<void, RegionError> =>
  readOptions(region, () => {
    for (const option of ["openDeadline", "linger", "roomDeadline", "ackDeadline", "skew"] as const) {
      millisOf(option, options[option] ?? 0)
    }
    const { batchBytes = 1 } = options
    refuseUnless(Number.isSafeInteger(batchBytes) && batchBytes >= 1, "batchBytes", batchBytes, "a number of bytes")
  })

/**
 * A publisher over a session's lanes. The backend of layers that opened the lanes closes them, after this scope has
 * published what was accepted.
 */
export const makePublisher = Effect.fnUntraced(function*<A>(
  topic: Topic<A>,
  lanes: LaneWriter,
  options?: PublisherOptions
): Effect.fn.Return<PublisherHandle<A>, never, Scope.Scope> {
  const lingering = yield* makeLingering(millisOf("linger", options?.linger ?? 0))
  const publishLate = yield* skewedPublication(lanes, millisOf("skew", options?.skew ?? 0))
  const packer = new Packer(
    lanes,
    options?.batchBytes ?? lanes.batchBytes,
    lingering.onOpen,
    publishLate ?? ((broker) => lanes.publish(broker))
  )
  const unclaimed = Latch.makeUnsafe(true)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      packer.close()
      unclaimed.openUnsafe()
      for (let broker = 0; broker < lanes.brokers; broker += 1) lanes.publish(broker)
    })
  )
  yield* Effect.forkScoped(lingering.sealing(packer))
  return handleOf({
    topic,
    lanes,
    packer,
    unclaimed,
    roomMillis: millisOf("roomDeadline", options?.roomDeadline ?? "30 seconds"),
    ackMillis: millisOf("ackDeadline", options?.ackDeadline ?? "60 seconds")
  })
})

// --- internal ---

interface Session<A> {
  readonly topic: Topic<A>
  readonly lanes: LaneWriter
  readonly packer: Packer
  /** Open while no claim is. */
  readonly unclaimed: Latch.Latch
  readonly roomMillis: number
  readonly ackMillis: number
}

/** How often a wait for acknowledgements says what it waits for. */
const waitingLineMillis = 5000

/** Records that `sendAll` accepts before it lets others run. */
const recordsPerTurn = 1024

const handleOf = <A>(session: Session<A>): PublisherHandle<A> => {
  const { lanes, packer, topic } = session
  const codec = topic.codec
  const encode = codec === undefined ? (record: A) => record as Uint8Array : (record: A) => codec.encode(record)
  const accepts = (bytes: Uint8Array | ValueInvalid) => !(bytes instanceof ValueInvalid) && packer.append(bytes)
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
    offer: codec === undefined ? (record) => packer.append(record as Uint8Array) : (record) => accepts(encode(record)),
    send: (record) => Effect.suspend(() => sendNow(record) ?? Effect.void),
    sendAll,
    sink: Sink.forEachArray(sendAll),
    claim: (bytes) => claimRecord(session, bytes),
    flush: Effect.suspend(() => flush(session)),
    seal: () => packer.seal(),
    awaitAcknowledged: (count) => awaitAcknowledged(session, count),
    lost: lanes.waiter.untilLost,
    readers: () => lanes.readers(),
    awaitReaders: (count) =>
      Effect.asVoid(lanes.waiter.until(() => lanes.readers().length >= count ? true : undefined)),
    accepted: () => packer.accepted,
    acknowledged: () => lanes.committedMessages(),
    acks: () => sessionAcks(session),
    fullEvents: () => lanes.fullEvents()
  }
}

// Seals what the event-loop turn (or the linger) has left open. The batch that is looked at is the one that was opened:
// one that was sealed by its size meanwhile is left alone.
const makeLingering = Effect.fnUntraced(function*(lingerMillis: number) {
  const clock = yield* Clock.Clock
  const opened = Latch.makeUnsafe(false)
  let openedMillis = 0
  return {
    onOpen: () => {
      if (lingerMillis > 0) openedMillis = clock.currentTimeMillisUnsafe()
      opened.openUnsafe()
    },
    sealing: (packer: Packer) =>
      Effect.gen(function*() {
        while (true) {
          yield* opened.await
          opened.closeUnsafe()
          const batch = packer.sequence
          const leftMillis = openedMillis + lingerMillis - clock.currentTimeMillisUnsafe()
          yield* lingerMillis > 0 ? Effect.sleep(Math.max(0, leftMillis)) : Effect.yieldNow
          if (packer.sequence === batch) packer.seal()
        }
      })
  }
})

// One fiber a broker, so that a delay on one lets the others overtake it.
const skewedPublication = Effect.fnUntraced(function*(lanes: LaneWriter, skewMillis: number) {
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

/** Why nothing can be published any more, however long one waits. */
const refusal = (session: Session<any>, recordBytes: number): PublishError | undefined => {
  const { lanes, packer, topic } = session
  if (recordBytes > packer.recordBytesMax) {
    return new RecordTooLarge({ topic: topic.name, recordBytes, limitBytes: packer.recordBytesMax })
  }
  if (packer.closed) return closedError(session, "closed")
  const end = lanes.ended()
  return end === undefined ? undefined : closedError(session, end)
}

const backpressure = (session: Session<any>): Backpressure | RegionLost => {
  const lost = session.lanes.waiter.lost()
  if (lost !== undefined) return lost
  const holder = session.packer.claimed
    ? { kind: "claim" as const }
    : session.lanes.roomHolder(session.packer.broker)
  return new Backpressure({
    topic: session.topic.name,
    waitedMillis: session.roomMillis,
    waitingOn: describeHolder(session, holder),
    waitingOnOwnSubscriber: holder.kind === "reader" && holder.own
  })
}

/** Waits until `attempt` finds room; whatever makes waiting pointless ends the wait. */
const waitForRoom = <R>(
  session: Session<any>,
  recordBytes: number,
  attempt: () => R | undefined
): Effect.Effect<R, PublishError> => {
  const { lanes, packer, unclaimed } = session
  const check = () => packer.claimed ? claimed : attempt() ?? refusal(session, recordBytes)
  return Effect.gen(function*() {
    lanes.wantRoom(true)
    while (true) {
      if (packer.claimed) yield* Effect.raceFirst(unclaimed.await, lanes.waiter.untilLost)
      const found = yield* lanes.waiter.until(check)
      if (isPublishError(found)) return yield* Effect.fail(found)
      if (found !== claimed) return found as R
    }
  }).pipe(
    Effect.timeoutOrElse({ duration: session.roomMillis, orElse: () => Effect.fail(backpressure(session)) }),
    Effect.ensuring(Effect.sync(() => lanes.wantRoom(false)))
  )
}

const claimed = Symbol("claimed")

const isPublishError = (found: unknown): found is RecordTooLarge | PublisherClosed =>
  found instanceof RecordTooLarge || found instanceof PublisherClosed

const waitToSend = (session: Session<any>, bytes: Uint8Array): Effect.Effect<void, PublishError> =>
  Effect.asVoid(waitForRoom(session, bytes.length, () => session.packer.append(bytes) ? true : undefined))

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
  const { packer, unclaimed } = session
  const take = () => {
    const room = packer.claim(bytes)
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
      (claim) => Effect.sync(() => claim.open && end(() => packer.abortClaim())),
      { interruptible: true }
    ),
    (claim) => ({
      bytes: claim.room,
      commit: (length = bytes) => {
        if (!claim.open || packer.closed) return
        claim.open = false
        end(() => packer.commitClaim(Math.max(0, Math.min(length, bytes))))
      }
    })
  )
}

const awaitAcknowledged = (session: Session<any>, count: number): Effect.Effect<void, PublishError | AckTimeout> => {
  const { lanes, topic } = session
  if (topic.ack === "none") return Effect.void
  const check = () => lanes.committedMessages() >= count ? true : lanes.ended()
  return awaiting(session, check).pipe(
    Effect.flatMap((found) => found === true ? Effect.void : Effect.fail(closedError(session, found)))
  )
}

const flush = (session: Session<any>): Effect.Effect<void, PublishError | AckTimeout> => {
  const { packer } = session
  if (!packer.claimed) {
    packer.seal()
    return awaitAcknowledged(session, packer.accepted)
  }
  // What was accepted before an open claim lies in the same batch: it can only be sealed with it.
  return Effect.raceFirst(session.unclaimed.await, session.lanes.waiter.untilLost).pipe(
    Effect.andThen(Effect.suspend(() => flush(session))),
    Effect.timeoutOrElse({ duration: session.ackMillis, orElse: () => Effect.fail(ackTimeout(session)) })
  )
}

// Waits, and says every few seconds which broker and which batch it waits for.
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

/** Something is published that the sequencer has not even looked at, and nothing keeps it from doing so. */
const isUnanswered = ({ lanes }: Session<any>): boolean =>
  Array.from({ length: lanes.brokers }, (_, broker) => broker).some((broker) => {
    const { published, scanned } = lanes.frontiers(broker)
    return published > scanned && lanes.roomHolder(broker).kind === "sequencer"
  })

const describeUnanswered = ({ lanes }: Session<any>): string => {
  const { detail, hint } = unanswered(lanes.waiter.server())
  return `${detail} (${hint})`
}

const sessionAcks = ({ lanes, packer, topic }: Session<any>): SessionAcks => {
  packer.ledger.count(lanes)
  const waitingOn = packer.ledger.waitingOn()
  return {
    sessionId: lanes.sessionId,
    topic: topic.name,
    published: packer.accepted,
    acknowledged: lanes.committedMessages(),
    byBroker: [...packer.ledger.byBroker],
    waitingOn: waitingOn === undefined ? undefined : { ...waitingOn, heldBehind: lanes.gap()?.heldBehind ?? 0 }
  }
}

const describeHolder = (session: Session<any>, holder: RoomHolder | { readonly kind: "claim" }): string => {
  switch (holder.kind) {
    case "reader": {
      const where = holder.own ? `${showPid(holder)}, this process` : showPid(holder)
      return `subscriber "${holder.name}" (${where}), which has not released what it was lent`
    }
    case "gap":
      return `batch ${holder.batch} of this session on broker ${holder.broker}, which is not published yet`
    case "sequencer":
      return describeUnanswered(session)
    case "claim":
      return "a claim of this publisher, which is neither committed nor closed"
  }
}
