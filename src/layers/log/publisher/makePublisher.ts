/**
 * Makes a publisher over a session's lanes: waits for room and for acknowledgements, and goes on in another session when
 * the one that it has outlives its lease. `BatchBuilder` is the part that never waits.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import { countWithin } from "../../../services/input/ArgumentInvalid.ts"
import { millisOf } from "../../../services/input/DurationInput.ts"
import type { OpenPublisherError, PublisherHandle, PublisherOptions } from "../../../services/Publisher.ts"
import type { Topic } from "../../../services/schema/Topic.ts"
import { ValueInvalid } from "../../../services/schema/ValueInvalid.ts"
import { plural } from "../../../services/text/quantities.ts"
import { acksOf, awaitAcknowledged, flush } from "./acknowledging.ts"
import { BatchBuilder } from "./BatchBuilder.ts"
import { makeLingering } from "./lingering.ts"
import type { OpenPublisher } from "./OpenPublisher.ts"
import { type AdmitLanes, makeResuming, openOwned, resumingAlways } from "./resuming.ts"
import { claimRecord, sendEach, waitToSend } from "./sending.ts"
import { publishingLate } from "./skew.ts"

/**
 * A publisher over lanes that the backend opens, for the first time at once. Closing its scope publishes the accepted
 * records, and then ends its session.
 */
export const makePublisher = Effect.fnUntraced(function*<A>(
  topic: Topic<A>,
  admitLanes: AdmitLanes,
  options?: PublisherOptions
): Effect.fn.Return<PublisherHandle<A>, OpenPublisherError, Scope.Scope> {
  // Before all else of the publisher, because scopes close in the opposite order.
  const sessions = yield* Scope.fork(yield* Effect.scope)
  const first = yield* openOwned(sessions, admitLanes(0))
  const { brokers } = first.lanes
  const lingering = yield* makeLingering(millisOf("linger", options?.linger ?? 0))
  const skewMillis = millisOf("skew", options?.skew ?? 0)
  const publish = (broker: number) => builder.lanes.publish(broker)
  const publishLate = skewMillis === 0 ? publish : yield* publishingLate(brokers, skewMillis, publish)
  const outlived = Latch.makeUnsafe(false)
  const builder: BatchBuilder = new BatchBuilder(first.lanes, options?.batchBytes ?? first.lanes.batchBytes, {
    onOpen: lingering.onOpen,
    // What was late once must not be late again, or it would never be committed.
    onSeal: (broker) => builder.isResuming ? publish(broker) : publishLate(broker),
    onOutlived: () => {
      publisher.resumed.closeUnsafe()
      outlived.openUnsafe()
    }
  })
  const publisher: OpenPublisher = {
    topic,
    identity: options?.identity,
    builder,
    unclaimed: Latch.makeUnsafe(true),
    resumed: Latch.makeUnsafe(true),
    resumeFailure: undefined,
    roomMillis: millisOf("roomDeadline", options?.roomDeadline ?? "30 seconds"),
    ackMillis: millisOf("ackDeadline", options?.ackDeadline ?? "60 seconds")
  }
  const resume = makeResuming(publisher, sessions, admitLanes, first)
  yield* Effect.addFinalizer(() => close(publisher, resume))
  yield* Effect.forkScoped(lingering.sealing(builder))
  yield* Effect.forkScoped(resumingAlways(publisher, outlived, resume))
  return handleOf(topic, publisher, first.lanes.identity?.base ?? 0)
})

// --- internal ---

const handleOf = <A>(topic: Topic<A>, publisher: OpenPublisher, committed: number): PublisherHandle<A> => {
  const { builder } = publisher
  const { readersMax, waiter } = builder.lanes
  const codec = topic.codec
  const encode = codec === undefined ? (record: A) => record as Uint8Array : (record: A) => codec.encode(record)
  const accepts = (bytes: Uint8Array | ValueInvalid) => !(bytes instanceof ValueInvalid) && builder.append(bytes)
  const sendSlowly = (bytes: Uint8Array | ValueInvalid) =>
    bytes instanceof ValueInvalid ? Effect.fail(bytes) : waitToSend(publisher, bytes)
  const sendNow = (record: A) => {
    const bytes = encode(record)
    return accepts(bytes) ? undefined : sendSlowly(bytes)
  }
  const sendAll = (records: Iterable<A>) => sendEach(records, sendNow)
  return Object.assign(new OfPresentSession(builder), {
    topic: topic.name,
    committed,
    offer: codec === undefined
      ? (record: A) => builder.append(record as Uint8Array)
      : (record: A) => accepts(encode(record)),
    send: (record: A) => Effect.suspend(() => sendNow(record) ?? Effect.void),
    sendAll,
    sink: Sink.forEachArray(sendAll),
    claim: (bytes: number) => Effect.andThen(countWithin("claim", "bytes", bytes), claimRecord(publisher, bytes)),
    flush: Effect.suspend(() => flush(publisher)),
    seal: () => builder.seal(),
    awaitAcknowledged: (count: number) =>
      Effect.andThen(countWithin("awaitAcknowledged", "count", count), awaitAcknowledged(publisher, count)),
    lost: waiter.untilLost,
    readers: () => subscribersOf(builder),
    awaitReaders: (count: number) =>
      Effect.andThen(
        countWithin("awaitReaders", "count", count, readersMax),
        Effect.asVoid(
          waiter.until(() => subscribersOf(builder).filter(({ gates }) => gates).length >= count ? true : undefined)
        )
      ),
    accepted: () => builder.accepted,
    acknowledged: () => builder.acknowledged,
    acks: () => acksOf(publisher),
    fullEvents: () => builder.fullEvents
  })
}

/**
 * What changes with the session. With an accessor in the handle's own literal the log carried a fifth less; with one of a
 * class, as much as with a plain value. That was measured, in runs of 4 GiB; the compiler's reason was not looked into.
 */
class OfPresentSession {
  readonly #builder: BatchBuilder

  constructor(builder: BatchBuilder) {
    this.#builder = builder
  }

  get sessionId(): number {
    return this.#builder.lanes.sessionId
  }
}

const subscribersOf = ({ lanes }: BatchBuilder) => lanes.readers().filter(({ replica }) => replica === 0)

/** Publishes the accepted records, of a session that has outlived its lease in another one. */
const close = (publisher: OpenPublisher, resume: Effect.Effect<void, OpenPublisherError>): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { builder, roomMillis, unclaimed } = publisher
    builder.close()
    unclaimed.openUnsafe()
    builder.ended()
    if (builder.isResuming) {
      yield* Effect.ignore(Effect.timeoutOption(Effect.interruptible(resume), roomMillis))
    }
    if (builder.isResuming) yield* Effect.logWarning(cutLine(publisher))
    for (let broker = 0; broker < builder.lanes.brokers; broker += 1) builder.lanes.publish(broker)
  })

const cutLine = ({ builder, resumeFailure, topic }: OpenPublisher): string => {
  const cut = plural(builder.accepted - builder.committed, "record")
  const why = resumeFailure === undefined ? "" : `: ${resumeFailure}`
  return `topic "${topic.name}": the publisher was closed while it resumed, and ${cut} of it were not published${why}`
}
