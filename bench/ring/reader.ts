/**
 * A child of the ring benchmark: reads every byte of every message in place.
 */
import * as Effect from "effect/Effect"
import { coresSince } from "../../src/programs/measure/cpu-usage.ts"
import { monotonicMillis } from "../../src/programs/measure/monotonic-clock.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { inRegion } from "../../src/programs/processes/ring-process.ts"
import { Ring, type RingReaderHandle } from "../../src/services/Ring.ts"
import { foldingOf } from "../harness/checksum.ts"
import { formatSum } from "../harness/content.ts"
import { type ReaderJob, RingReader, streamRing } from "./jobs.ts"

/** Counts messages out of order, by the number in the first word of each. */
class Sequence {
  next = 0
  disordered = 0

  see(payload: Uint8Array): void {
    const number = (payload[0] as number) + 0x100 * (payload[1] as number) + 0x1_0000 * (payload[2] as number)
      + 0x100_0000 * (payload[3] as number)
    if (number !== this.next % 2 ** 32) this.disordered += 1
    this.next += 1
  }
}

const readAll = Effect.fnUntraced(function*(job: ReaderJob, reader: RingReaderHandle) {
  const sum = yield* foldingOf(job.fold)
  const sequence = new Sequence()
  const wanted = job.warmup + job.messages
  let cores = coresSince()
  while (sequence.next < wanted) {
    const warmingUp = sequence.next < job.warmup
    for (const { payload } of yield* reader.pull) {
      sequence.see(payload)
      sum.add(payload)
    }
    if (warmingUp && sequence.next >= job.warmup) cores = coresSince()
  }
  const lastMillis = monotonicMillis()
  // Release the lent messages: the writer waits for that between warm-up and measurement.
  reader.poll()
  return { lastMillis, cores: cores(), sum: formatSum(sum.value()), disordered: sequence.disordered }
})

runChild(RingReader, (job, parent) =>
  Effect.gen(function*() {
    const reader = yield* Ring.reader({ name: streamRing, readerName: job.name, awaitWriter: true })
    yield* parent.ready
    yield* parent.result(yield* readAll(job, reader))
    yield* parent.end
  }).pipe(Effect.scoped, inRegion(job)))
