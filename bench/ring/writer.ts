/**
 * A child of the ring benchmark: writes every message from JavaScript, as fast as the ring has room.
 */
import * as Effect from "effect/Effect"
import { RingPorts } from "../../src/layers/ports/RingPorts.ts"
import { coresSince } from "../../src/programs/measure/cpu-usage.ts"
import { monotonicMillis } from "../../src/programs/measure/monotonic-clock.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { inRegion } from "../../src/programs/processes/ring-process.ts"
import { Ring, type RingWriterHandle } from "../../src/services/Ring.ts"
import { type BenchRecord, formatSum, makeRecord, sumOf } from "../harness/content.ts"
import { RingWriter, streamRing, type WriterJob } from "./jobs.ts"

/** Messages between two turns of the event loop, in which signals arrive. */
const messagesPerTurn = 4096

interface Stretch {
  readonly writer: RingWriterHandle
  readonly record: BenchRecord
  readonly messagesPerPublish: number
}

// Returns the first message that found no room, which stays stamped, or `end`. A plain function, because the compiler
// optimizes it better than a generator's body.
const writeOneByOne = ({ record, writer }: Stretch, from: number, end: number): number => {
  for (let sequence = from; sequence < end; sequence += 1) {
    record.stamp(sequence)
    if (!writer.offer(record.bytes)) return sequence
  }
  return end
}

const writeBatched = ({ messagesPerPublish, record, writer }: Stretch, from: number, end: number): number => {
  let unpublished = 0
  for (let sequence = from; sequence < end; sequence += 1) {
    record.stamp(sequence)
    if (!writer.append(record.bytes)) {
      writer.publish()
      return sequence
    }
    unpublished += 1
    if (unpublished === messagesPerPublish) {
      writer.publish()
      unpublished = 0
    }
  }
  writer.publish()
  return end
}

const write = Effect.fnUntraced(function*(stretch: Stretch, from: number, upTo: number) {
  const writeUpTo = stretch.messagesPerPublish === 1 ? writeOneByOne : writeBatched
  let waits = 0
  for (let at = from; at < upTo;) {
    const end = Math.min(upTo, at + messagesPerTurn)
    at = writeUpTo(stretch, at, end)
    if (at < end) {
      yield* stretch.writer.send(stretch.record.bytes)
      waits += 1
      at += 1
    }
    yield* Effect.yieldNow
  }
  return waits
})

// Waits until the readers have read all messages: those of the warm-up must not count.
const awaitRead = Effect.fnUntraced(function*(writer: RingWriterHandle) {
  const ring = yield* RingPorts
  const { position } = writer.target()
  const isRead = () => ring.readers(writer.ring).every(({ released }) => released >= position) ? true : undefined
  yield* ring.cursorWaiter.until(isRead)
})

const measure = Effect.fnUntraced(function*(job: WriterJob, writer: RingWriterHandle) {
  const { messageBytes, messages, messagesPerPublish, warmup } = job
  const stretch = { writer, record: makeRecord(messageBytes), messagesPerPublish }
  yield* write(stretch, 0, warmup)
  yield* awaitRead(writer)
  const cores = coresSince()
  const firstMillis = monotonicMillis()
  const waits = yield* write(stretch, warmup, warmup + messages)
  return { firstMillis, cores: cores(), sum: formatSum(sumOf(messageBytes, warmup + messages)), waits }
})

runChild(RingWriter, (job, parent) =>
  Effect.gen(function*() {
    const writer = yield* Ring.writer({ name: streamRing })
    yield* parent.ready
    yield* parent.begin
    yield* parent.result(yield* measure(job, writer))
    yield* parent.end
  }).pipe(Effect.scoped, inRegion(job)))
