/**
 * A child of the demonstration: publishes its share of the input as one session, in order.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Publisher, type PublisherHandle } from "../../services/Publisher.ts"
import * as AckSampler from "../measure/ack-latency.ts"
import { StreamMac } from "../measure/mac.ts"
import { monotonicMillis } from "../measure/monotonic-clock.ts"
import { type Parent, type ParentGone, runChild } from "../processes/child.ts"
import { attached } from "../processes/log-client.ts"
import { InputChanged, InputReader } from "./input-share.ts"
import { DemoPublisher, demoTopic, type PublisherJob, type PublisherResult } from "./jobs.ts"

/** Bytes read, checksummed and published at a time. */
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

// The records of a whole chunk, as views that every filling of it uses again: a view costs as much as the copy of a record.
const viewsOf = (chunk: Uint8Array, recordBytes: number): ReadonlyArray<Uint8Array> =>
  Array.from(
    { length: Math.ceil(chunk.length / recordBytes) },
    (_, record) => chunk.subarray(record * recordBytes, (record + 1) * recordBytes)
  )

// The last record of the input may be shorter.
const recordsOf = (
  views: ReadonlyArray<Uint8Array>,
  filled: number,
  recordBytes: number
): ReadonlyArray<Uint8Array> => {
  const whole = Math.floor(filled / recordBytes)
  const rest = filled % recordBytes
  return rest === 0 ? views.slice(0, whole) : [...views.slice(0, whole), views[whole]!.subarray(0, rest)]
}

// The number of the first record that was not accepted. A plain function, because the compiler optimizes it better than a
// generator's body.
const offerUpTo = (
  publisher: PublisherHandle<Uint8Array>,
  sampler: AckSampler.AckSampler,
  records: ReadonlyArray<Uint8Array>,
  from: number,
  to: number
): number => {
  for (let at = from; at < to; at += 1) {
    if (!publisher.offer(records[at] as Uint8Array)) return at
    if (at % recordsPerSample === 0) {
      sampler.mark()
      sampler.sweep()
    }
  }
  return to
}

const offerAll = Effect.fnUntraced(function*(
  publisher: PublisherHandle<Uint8Array>,
  sampler: AckSampler.AckSampler,
  records: ReadonlyArray<Uint8Array>,
  hold: Hold
) {
  const heldAt = hold.at - publisher.accepted()
  for (let at = 0; at < records.length;) {
    if (at === heldAt) yield* hold.over
    const to = at < heldAt ? Math.min(records.length, heldAt) : records.length
    at = offerUpTo(publisher, sampler, records, at, to)
    if (at < to) yield* publisher.send(records[at++] as Uint8Array)
  }
})

/** What is awaited before the record of this number is sent. */
interface Hold {
  readonly at: number
  readonly over: Effect.Effect<void, ParentGone>
}

/** Bytes that were read, with their checksum. */
class Content {
  records = 0
  bytes = 0
  readonly #mac: StreamMac

  constructor(macKey: string) {
    this.#mac = new StreamMac(macKey)
  }

  add(bytes: Uint8Array, records: number): void {
    this.#mac.update(bytes)
    this.bytes += bytes.length
    this.records += records
  }

  done() {
    return { records: this.records, bytes: this.bytes, mac: this.#mac.digest() }
  }
}

// Reads what a killed publisher of the identity had committed too, for its checksum, and sends what lies behind it.
const publishShare = Effect.fnUntraced(function*(
  job: PublisherJob,
  publisher: PublisherHandle<Uint8Array>,
  parent: Parent<PublisherResult>
) {
  const { macKey, recordBytes } = job
  const reader = yield* openReader(job)
  const sampler = yield* AckSampler.make(publisher)
  const chunk = new Uint8Array(Math.max(1, Math.floor(chunkBytes / recordBytes)) * recordBytes)
  const views = viewsOf(chunk, recordBytes)
  const [former, own] = [new Content(macKey), new Content(macKey)]
  const hold: Hold = { at: job.holdsAt ?? Infinity, over: parent.finish }
  const firstOfferMillis = monotonicMillis()
  for (let filled = yield* fill(reader, chunk); filled > 0; filled = yield* fill(reader, chunk)) {
    const records = recordsOf(views, filled, recordBytes)
    const committed = Math.min(records.length, publisher.committed - former.records)
    const split = Math.min(filled, committed * recordBytes)
    former.add(chunk.subarray(0, split), committed)
    own.add(chunk.subarray(split, filled), records.length - committed)
    yield* offerAll(publisher, sampler, records.slice(committed), hold)
    parent.progress(publisher.acknowledged(), own.bytes)
    yield* Effect.yieldNow
  }
  yield* publisher.flush
  const lastAckMillis = monotonicMillis()
  sampler.sweep()
  yield* parent.result({
    sessionId: publisher.sessionId,
    ...own.done(),
    acknowledged: publisher.acknowledged(),
    firstOfferMillis,
    lastAckMillis,
    latency: sampler.latency(),
    fullEvents: publisher.fullEvents(),
    ...former.records === 0 ? {} : { former: former.done() }
  })
})

runChild(DemoPublisher, (job, parent) =>
  Effect.gen(function*() {
    const publisher = yield* Publisher.open(demoTopic(job.ack), { skew: job.skewMillis, identity: job.identity })
    yield* parent.ready
    yield* parent.begin
    yield* publishShare(job, publisher, parent)
    // Keep the session open, so that the parent can still read its state.
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))
