/**
 * A child of the ring benchmark: reads every byte of every message in place.
 */
import * as Effect from "effect/Effect"
import { coresSince } from "../../src/programs/measure/cpu-usage.ts"
import { monotonicMillis } from "../../src/programs/measure/monotonic-clock.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { inRegion } from "../../src/programs/processes/ring-process.ts"
import { Ring, type RingBatch, type RingReaderHandle } from "../../src/services/Ring.ts"
import { foldingOf } from "../harness/checksum.ts"
import { formatSum, JavaScriptSum } from "../harness/content.ts"
import * as Machine from "../machine/Machine.ts"
import { type ReaderJob, RingReader, streamRing } from "./jobs.ts"

interface Reading {
  readonly sum: () => bigint
  /** Reads all messages of the batch, the first of which has that number, and returns how many there were. */
  readonly read: (batch: RingBatch, first: number) => number
  /** Messages out of order, by the number in the first word of each. */
  readonly disordered: () => number
}

const numberAt = (bytes: Uint8Array, at: number): number =>
  (bytes[at] as number) + 0x100 * (bytes[at + 1] as number) + 0x1_0000 * (bytes[at + 2] as number)
  + 0x100_0000 * (bytes[at + 3] as number)

/** Reads message by message. */
const byMessage = (isInOrder: (batch: RingBatch, number: number) => boolean, sum: () => bigint): Reading => {
  let disordered = 0
  return {
    sum,
    read: (batch, first) => {
      let next = first
      for (; batch.next(); next += 1) if (!isInOrder(batch, next % 2 ** 32)) disordered += 1
      return next - first
    },
    disordered: () => disordered
  }
}

/** Sums in JavaScript, where the messages lie. */
const inPlace = Effect.sync(() => {
  const sum = new JavaScriptSum()
  return byMessage((batch, number) => {
    sum.add(batch.bytes, batch.from, batch.to)
    return numberAt(batch.bytes, batch.from) === number
  }, () => sum.value())
})

/** Hands each message to native code. */
const natively = Effect.map(foldingOf("native"), (sum) =>
  byMessage((batch, number) => {
    sum.add(batch.payload())
    return numberAt(batch.bytes, batch.from) === number
  }, sum.value))

/** Hands all messages of a batch to native code at once. */
const bySpan = Effect.map(Machine.foldFrames, (foldFrames): Reading => {
  const sum = new Uint32Array(2)
  let disordered = 0
  return {
    sum: () => (BigInt(sum[1] as number) << 32n) + BigInt(sum[0] as number),
    read: (batch, first) => {
      let next = first
      for (let span = batch.span(); span !== undefined; span = batch.span()) {
        const frames = foldFrames(span, next % 2 ** 32, sum)
        if (frames < 0) disordered += 1
        next += Math.max(1, frames)
      }
      return next - first
    },
    disordered: () => disordered
  }
})

const readingOf = { javascript: inPlace, native: natively, span: bySpan }

const readAll = Effect.fnUntraced(function*(job: ReaderJob, reader: RingReaderHandle) {
  const reading = yield* readingOf[job.fold]
  const wanted = job.warmup + job.messages
  let cores = coresSince()
  let seen = 0
  while (seen < wanted) {
    const warmingUp = seen < job.warmup
    const batch = yield* reader.pullBatch
    if (batch === undefined) break
    seen += reading.read(batch, seen)
    if (warmingUp && seen >= job.warmup) cores = coresSince()
  }
  const lastMillis = monotonicMillis()
  // Release the lent messages: the writer waits for that between warm-up and measurement.
  reader.poll()
  return { lastMillis, cores: cores(), sum: formatSum(reading.sum()), disordered: reading.disordered() }
})

runChild(RingReader, (job, parent) =>
  Effect.gen(function*() {
    const reader = yield* Ring.reader({ name: streamRing, readerName: job.name, awaitWriter: true })
    yield* parent.ready
    yield* parent.result(yield* readAll(job, reader))
    yield* parent.end
  }).pipe(Effect.scoped, inRegion(job)))
