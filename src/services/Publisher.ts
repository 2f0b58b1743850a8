/**
 * The writing side of the log: packs records into batches and stripes them over the brokers.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import type { SessionAcks } from "./AckTracker.ts"
import type { RegionLost } from "./CxlMemory.ts"
import type { ReaderState } from "./Diagnostics.ts"
import type { ArgumentInvalid } from "./input/ArgumentInvalid.ts"
import type { RegionError } from "./schema/RegionError.ts"
import type { Topic, TopicError } from "./schema/Topic.ts"
import type { ValueInvalid } from "./schema/ValueInvalid.ts"
import { formatCount, formatMillis, plural } from "./text/quantities.ts"

export interface PublisherOptions {
  /** How long `open` waits to be admitted by the log's server. Default 10 seconds. */
  readonly openDeadline?: Duration.Input | undefined
  /**
   * A name that survives this process and the log's server. The publisher goes on where its records end: they are
   * {@link PublisherHandle.committed} when it opens, and none of a former publisher of that identity commits later. A
   * newer publisher of the identity takes it away: this one then fails with {@link PublisherFenced}. For topics of order
   * `session`, which keep the identity as long as the region keeps the topic; named like a topic. Default: none.
   */
  readonly identity?: string | undefined
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

/** A record that is being written in place. None of it is published before `commit`. */
export interface Claim {
  readonly bytes: Uint8Array
  /**
   * Completes the record with its first `length` bytes (default: all). Throws {@link ArgumentInvalid} when the claim is
   * shorter than that, and the claim stays open.
   */
  readonly commit: (length?: number) => void
}

/**
 * One session of one topic. Records of a session are numbered from 0 in the order in which they were accepted.
 */
export interface PublisherHandle<in A> {
  readonly topic: string
  /**
   * The present session's number, which its records bear. It changes when the publisher resumes: when a gap of its session
   * has outlived the server's lease, because this process stood still, it opens another and publishes there what was not
   * committed, by itself. Meanwhile `send` waits and `offer` returns false; `accepted` and `acknowledged` count on.
   */
  readonly sessionId: number
  /** Records of its identity that were committed before it was opened: the first one to send. 0 without an identity. */
  readonly committed: number
  /**
   * Accepts the record if there is room, and returns whether it did. Synchronous; copies the bytes and allocates
   * nothing. Also `false` when the record can never fit, when its schema cannot encode it, or when the session has
   * ended: `send` reports which.
   */
  readonly offer: (record: A) => boolean
  /**
   * Accepts the record, waiting for room. Fails with {@link ValueInvalid} for a value that its schema cannot encode.
   * The publisher stays usable, as it does after a record that is too large.
   */
  readonly send: (record: A) => Effect.Effect<void, PublishError>
  /** Sends each record, up to the first that fails: those before it are accepted, those after it are not. */
  readonly sendAll: (records: Iterable<A>) => Effect.Effect<void, PublishError>
  readonly sink: Sink.Sink<void, A, never, PublishError>
  /**
   * Claims room for a record of `bytes` bytes, to be written in place without a copy. The claim ends with its scope,
   * which drops an uncommitted record. One claim at a time. Fails with {@link ArgumentInvalid} if `bytes` is not a
   * number of bytes.
   */
  readonly claim: (bytes: number) => Effect.Effect<Claim, PublishError | ArgumentInvalid, Scope.Scope>
  /**
   * Returns once all records accepted so far are published and, under `ack` `ordered` or `durable`, acknowledged. With an
   * identity, under `durable`, also once what it had `committed` is durable.
   */
  readonly flush: Effect.Effect<void, PublishError | AckTimeout>
  /** Seals and publishes the accepted records without waiting. */
  readonly seal: () => void
  /**
   * Returns once the first `count` records of the session are acknowledged, including records that are yet to be sent.
   * Fails with {@link ArgumentInvalid} if `count` is not a number of records.
   */
  readonly awaitAcknowledged: (count: number) => Effect.Effect<void, PublishError | AckTimeout | ArgumentInvalid>
  /**
   * Fails as soon as the log's server is gone, even while no record is sent: race it with the source of the records.
   * Waiting for it costs nothing while records are sent.
   */
  readonly lost: Effect.Effect<never, RegionLost>
  /**
   * The subscribers attached to the topic now. A killed subscriber counts until its end is noticed, within a second.
   */
  readonly readers: () => ReadonlyArray<ReaderState>
  /**
   * Returns once that many subscribers are attached: records sent afterwards are kept for each of them. Add a deadline
   * with `Effect.timeout` if they may never attach. Fails with {@link ArgumentInvalid} if `count` is not a number of
   * subscribers, or exceeds the region's places for the subscribers of one topic.
   */
  readonly awaitReaders: (count: number) => Effect.Effect<void, RegionLost | ArgumentInvalid>
  /** Records accepted. */
  readonly accepted: () => number
  /**
   * Records acknowledged: the committed prefix of those accepted, under ack `durable` as far as the required replicas have
   * it. Always 0 under order `none`.
   */
  readonly acknowledged: () => number
  readonly acks: () => SessionAcks
  /** Times that this publisher found a lane full. */
  readonly fullEvents: () => number
}

/** The record does not fit into a batch. None of it was published. */
export class RecordTooLarge extends Schema.TaggedError<RecordTooLarge>()("RecordTooLarge", {
  topic: Schema.String,
  recordBytes: Schema.Number,
  limitBytes: Schema.Number
}) {
  override get message(): string {
    return `a record of ${plural(this.recordBytes, "byte")} does not fit topic "${this.topic}" (at most ${
      formatCount(this.limitBytes)
    }; `
      + `split it, or create the region with larger batches)`
  }
}

/** No room became free within the deadline; `waitingOn` names its holder. Records accepted before stay accepted. */
export class Backpressure extends Schema.TaggedError<Backpressure>()("Backpressure", {
  topic: Schema.String,
  waitedMillis: Schema.Number,
  waitingOn: Schema.String,
  waitingOnOwnSubscriber: Schema.Boolean
}) {
  override get message(): string {
    return `topic "${this.topic}": no room for ${formatMillis(this.waitedMillis)}, waiting on ${this.waitingOn}`
  }
}

/** Acknowledgements did not arrive within the deadline. They may still arrive: no record was dropped. */
export class AckTimeout extends Schema.TaggedError<AckTimeout>()("AckTimeout", {
  topic: Schema.String,
  waitedMillis: Schema.Number,
  acknowledged: Schema.Number,
  published: Schema.Number,
  waiting: Schema.String
}) {
  override get message(): string {
    return `topic "${this.topic}": ${formatCount(this.acknowledged)} of ${
      formatCount(this.published)
    } acknowledged after ${formatMillis(this.waitedMillis)}; ${this.waiting}`
  }
}

/**
 * The publisher was closed, or its session ended. Its first `acknowledged` messages are committed, the rest are not.
 */
export class PublisherClosed extends Schema.TaggedError<PublisherClosed>()("PublisherClosed", {
  topic: Schema.String,
  reason: Schema.Literals(["closed", "died", "corrupt"]),
  acknowledged: Schema.Number
}) {
  override get message(): string {
    const why = this.reason === "closed"
      ? "the publisher is closed"
      : this.reason === "died"
      ? "the server ended its session because its process was dead"
      : "the server ended its session because its lane held an invalid descriptor"
    return `topic "${this.topic}": ${why}; ${plural(this.acknowledged, "message is", "messages are")} committed`
  }
}

/**
 * A newer publisher has its identity. The first `acknowledged` records of this one are committed, the rest never will be:
 * the newer one has counted them when it was opened.
 */
export class PublisherFenced extends Schema.TaggedError<PublisherFenced>()("PublisherFenced", {
  topic: Schema.String,
  identity: Schema.String,
  acknowledged: Schema.Number
}) {
  override get message(): string {
    return `topic "${this.topic}": a newer publisher has the identity "${this.identity}"; ${
      plural(this.acknowledged, "record")
    } of this one ${
      this.acknowledged === 1 ? "is" : "are"
    } committed and no other will be (end one of the two, or give `
      + `each an identity of its own)`
  }
}

export type PublishError =
  | ValueInvalid
  | RecordTooLarge
  | Backpressure
  | PublisherClosed
  | PublisherFenced
  | RegionLost

export type OpenPublisherError = TopicError | RegionError | RegionLost | PublisherFenced

/**
 * Opens sessions for writing. Closing the scope flushes the accepted records, ends the session and frees its lanes.
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
 *
 * With an identity a restarted process continues its input, without a record that is lost or in the order twice:
 *
 * @example
 * ```ts
 * import { Publisher, Topic } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const continueWith = (input: ReadonlyArray<Uint8Array>) =>
 *   Effect.gen(function*() {
 *     const publisher = yield* Publisher.open(Topic.make("lines"), { identity: "importer" })
 *     yield* publisher.sendAll(input.slice(publisher.committed))
 *     yield* publisher.flush
 *   })
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
