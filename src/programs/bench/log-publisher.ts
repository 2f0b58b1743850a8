/**
 * A child of `ringfence bench`: publishes as fast as there is room, and then at a fraction of that rate, where it
 * samples the latency of acknowledgements.
 */
import * as Effect from "effect/Effect"
import { Publisher, type PublisherHandle } from "../../services/Publisher.ts"
import * as AckSampler from "../measure/ack-latency.ts"
import { monotonicMillis } from "../measure/monotonic-clock.ts"
import { publishAtRate } from "../measure/open-loop.ts"
import { runChild } from "../processes/child.ts"
import { attached } from "../processes/log-client.ts"
import { benchTopic, LogPublisher, type PublisherJob } from "./jobs.ts"

type Handle = PublisherHandle<Uint8Array>

/** Records between two turns of the event loop, in which acknowledgements and signals arrive. */
const recordsPerTurn = 2048

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

const publishAll = Effect.fnUntraced(function*(job: PublisherJob, handle: Handle) {
  const record = new Uint8Array(job.recordBytes).fill(7)
  yield* publishAtFullSpeed(handle, record, job.warmupRecords)
  const firstOfferMillis = monotonicMillis()
  yield* publishAtFullSpeed(handle, record, job.warmupRecords + job.records)
  const lastAckMillis = monotonicMillis()
  const recordsPerSecond = 1000 * job.paceFraction * job.records / (lastAckMillis - firstOfferMillis)
  const sampler = yield* AckSampler.make(handle)
  const upTo = handle.accepted() + job.pacedRecords
  yield* publishAtRate(handle, sampler, { recordsPerSecond, upTo, recordOf: () => record })
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
