/**
 * A child of the demonstration: publishes its share of the input as one session, in order.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import { Publisher, type PublisherHandle } from "../../services/Publisher.ts"
import * as AckSampler from "../measure/ack-latency.ts"
import { monotonicMillis } from "../measure/monotonic-clock.ts"
import { type Parent, type ParentGone, runChild } from "../processes/child.ts"
import { attached } from "../processes/log-client.ts"
import { InputChanged, InputReader } from "./input-share.ts"
import { DemoPublisher, DemoTopic, type PublisherJob, type PublisherResult } from "./jobs.ts"

/** Bytes read, hashed and published at a time. */
const chunkBytes = 1024 * 1024
/** One record in this many samples the latency of acknowledgements. */
const recordsPerSample = 256

const openReader = (job: PublisherJob): Effect.Effect<InputReader, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(() => new InputReader(job.range)), (reader) => Effect.sync(() => reader.close()))

const fill = (reader: InputReader, chunk: Uint8Array) =>
  Effect.try({
    try: () => reader.fill(chunk),
    catch: (error) => error instanceof InputChanged ? error : new InputChanged({ path: "", detail: String(error) })
  })

const recordsOf = (chunk: Uint8Array, filled: number, recordBytes: number): ReadonlyArray<Uint8Array> =>
  Array.from(
    { length: Math.ceil(filled / recordBytes) },
    (_, record) => chunk.subarray(record * recordBytes, Math.min(filled, (record + 1) * recordBytes))
  )

const offerAll = Effect.fnUntraced(function*(
  publisher: PublisherHandle<Uint8Array>,
  sampler: AckSampler.AckSampler,
  records: ReadonlyArray<Uint8Array>,
  beforeLast: BeforeLast
) {
  for (const record of records) {
    if (publisher.accepted() === beforeLast.at) yield* beforeLast.awaited
    if (!publisher.offer(record)) yield* publisher.send(record)
    if (publisher.accepted() % recordsPerSample === 1) {
      sampler.mark()
      sampler.sweep()
    }
  }
})

/** What is awaited before the record of this number is sent. */
interface BeforeLast {
  readonly at: number
  readonly awaited: Effect.Effect<void, ParentGone>
}

const beforeLastOf = ({ keepsLast, range, recordBytes }: PublisherJob, parent: Parent<never>): BeforeLast => ({
  at: keepsLast ? Math.ceil((range.to - range.from) / recordBytes) - 1 : Infinity,
  awaited: parent.finish
})

const publishShare = Effect.fnUntraced(function*(
  job: PublisherJob,
  publisher: PublisherHandle<Uint8Array>,
  parent: Parent<PublisherResult>
) {
  const reader = yield* openReader(job)
  const sampler = yield* AckSampler.make(publisher)
  const chunk = new Uint8Array(Math.max(1, Math.floor(chunkBytes / job.recordBytes)) * job.recordBytes)
  const whole = recordsOf(chunk, chunk.length, job.recordBytes)
  const hash = createHash("sha256")
  const beforeLast = beforeLastOf(job, parent)
  const firstOfferMillis = monotonicMillis()
  let bytes = 0
  for (let filled = yield* fill(reader, chunk); filled > 0; filled = yield* fill(reader, chunk)) {
    hash.update(filled === chunk.length ? chunk : chunk.subarray(0, filled))
    bytes += filled
    const records = filled === chunk.length ? whole : recordsOf(chunk, filled, job.recordBytes)
    yield* offerAll(publisher, sampler, records, beforeLast)
    parent.progress(publisher.acknowledged(), bytes)
    yield* Effect.yieldNow
  }
  yield* publisher.flush
  const lastAckMillis = monotonicMillis()
  sampler.sweep()
  yield* parent.result({
    sessionId: publisher.sessionId,
    records: publisher.accepted(),
    bytes,
    sha256: hash.digest("hex"),
    acknowledged: publisher.acknowledged(),
    firstOfferMillis,
    lastAckMillis,
    latency: sampler.counts(),
    fullEvents: publisher.fullEvents()
  })
})

runChild(DemoPublisher, (job, parent) =>
  Effect.gen(function*() {
    const publisher = yield* Publisher.open(DemoTopic, { skew: job.skewMillis })
    yield* parent.ready
    yield* parent.begin
    yield* publishShare(job, publisher, parent)
    // Keep the session open, so that the parent can still read its state.
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))
