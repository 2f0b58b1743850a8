/**
 * A child of the log soak: publishes one session of records whose every byte can be checked.
 */
import * as Effect from "effect/Effect"
import { recordBytes, SessionContent } from "../../src/programs/log-trial/session-content.ts"
import * as AckSampler from "../../src/programs/measure/ack-latency.ts"
import { peakResidentBytes } from "../../src/programs/measure/cpu-usage.ts"
import { monotonicMillis } from "../../src/programs/measure/monotonic-clock.ts"
import { type Parent, runChild } from "../../src/programs/processes/child.ts"
import { attached } from "../../src/programs/processes/log-client.ts"
import { Publisher, type PublisherHandle } from "../../src/services/Publisher.ts"
import { type Published, type SoakJob, SoakPublisher, SoakTopic } from "./log-jobs.ts"

/** Records between two turns of the event loop. */
const recordsPerTurn = 1024

const publishAll = Effect.fnUntraced(function*(
  records: number,
  publisher: PublisherHandle<Uint8Array>,
  sampler: AckSampler.AckSampler,
  parent: Parent<Published>
) {
  const content = new SessionContent(publisher.sessionId)
  const record = Buffer.alloc(recordBytes)
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
  for (let sequence = 0; sequence < records; sequence += 1) {
    content.write(record, view, sequence)
    if (!publisher.offer(record)) yield* publisher.send(record)
    if (sequence % recordsPerTurn !== 0) continue
    sampler.mark()
    yield* Effect.yieldNow
    sampler.sweep()
    parent.progress(sequence, sequence * recordBytes)
  }
  yield* publisher.flush
  sampler.sweep()
})

const publish = Effect.fnUntraced(function*(
  { records }: SoakJob,
  publisher: PublisherHandle<Uint8Array>,
  parent: Parent<Published>
) {
  const sampler = yield* AckSampler.make(publisher)
  const firstOfferMillis = monotonicMillis()
  yield* publishAll(records, publisher, sampler, parent)
  const lastAckMillis = monotonicMillis()
  yield* parent.result({
    sessionId: publisher.sessionId,
    records: publisher.accepted(),
    acknowledged: publisher.acknowledged(),
    firstOfferMillis,
    lastAckMillis,
    latency: sampler.latency(),
    fullEvents: publisher.fullEvents(),
    residentBytes: peakResidentBytes()
  })
})

runChild(SoakPublisher, (job, parent) =>
  Effect.gen(function*() {
    const publisher = yield* Publisher.open(SoakTopic)
    yield* parent.ready
    yield* parent.begin
    yield* publish(job, publisher, parent)
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))
