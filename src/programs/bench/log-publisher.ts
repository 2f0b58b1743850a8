/**
 * A child of `ringfence bench`: publishes as fast as there is room, and then at a fraction of that rate, where it
 * samples the latency of acknowledgements.
 */
import * as Effect from "effect/Effect"
import { Publisher, type PublisherHandle } from "../../services/Publisher.ts"
import * as AckSampler from "../measure/ack-latency.ts"
import { monotonicMillis } from "../measure/monotonic-clock.ts"
import { runChild } from "../processes/child.ts"
import { attached } from "../processes/log-client.ts"
import { benchTopic, LogPublisher, type PublisherJob } from "./jobs.ts"

type Handle = PublisherHandle<Uint8Array>

/** Records between two turns of the event loop, in which acknowledgements and signals arrive. */
const recordsPerTurn = 2048

/** At the paced rate, due records are offered together at this interval. */
const tickMillis = 0.05

/** About the most samples a second. */
const samplesPerSecond = 20_000

// A plain function, because the compiler optimizes it better than a generator's body.
const offerUpTo = (handle: Handle, record: Uint8Array, end: number): boolean => {
  while (handle.accepted() < end) if (!handle.offer(record)) return false
  return true
}

const publishAtFullSpeed = Effect.fnUntraced(function*(handle: Handle, record: Uint8Array, upTo: number) {
  while (handle.accepted() < upTo) {
    const end = Math.min(upTo, handle.accepted() + recordsPerTurn)
    while (!offerUpTo(handle, record, end)) yield* handle.send(record)
    yield* Effect.yieldNow
  }
  yield* handle.flush
})

// Latency counts from when a record was due, even if it was offered late: a stall must not hide the waits that it
// caused.
const publishAtRate = Effect.fnUntraced(
  function*(handle: Handle, record: Uint8Array, sampler: AckSampler.AckSampler, upTo: number, perMilli: number) {
    const first = handle.accepted()
    const beganMillis = monotonicMillis()
    const recordsPerSample = Math.max(1, Math.round(1000 * perMilli / samplesPerSecond))
    let nextTickMillis = beganMillis
    for (let sequence = first; sequence < upTo;) {
      const nowMillis = monotonicMillis()
      if (nowMillis >= nextTickMillis) {
        nextTickMillis = nowMillis + tickMillis
        const due = Math.min(upTo, first + Math.floor((nowMillis - beganMillis) * perMilli))
        for (; sequence < due; sequence += 1) {
          if (!handle.offer(record)) yield* handle.send(record)
          if (sequence % recordsPerSample === 0) sampler.mark(beganMillis + (sequence - first) / perMilli)
        }
        handle.seal()
      }
      sampler.sweep()
      yield* Effect.yieldNow
    }
    yield* handle.flush
    sampler.sweep()
  }
)

const publishAll = Effect.fnUntraced(function*(job: PublisherJob, handle: Handle) {
  const record = new Uint8Array(job.recordBytes).fill(7)
  yield* publishAtFullSpeed(handle, record, job.warmupRecords)
  const firstOfferMillis = monotonicMillis()
  yield* publishAtFullSpeed(handle, record, job.warmupRecords + job.records)
  const lastAckMillis = monotonicMillis()
  const perMilli = job.paceFraction * job.records / (lastAckMillis - firstOfferMillis)
  const sampler = yield* AckSampler.make(handle)
  yield* publishAtRate(handle, record, sampler, handle.accepted() + job.pacedRecords, perMilli)
  return {
    acknowledged: handle.acknowledged(),
    firstOfferMillis,
    lastAckMillis,
    latency: sampler.latency(),
    fullEvents: handle.fullEvents()
  }
})

runChild(LogPublisher, (job, parent) =>
  Effect.gen(function*() {
    const handle = yield* Publisher.open(benchTopic(job.order))
    yield* parent.ready
    yield* parent.begin
    yield* parent.result(yield* publishAll(job, handle))
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))
