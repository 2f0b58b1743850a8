/**
 * A child of the log benchmark: offers every message from JavaScript, one at a time.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { getHeapStatistics } from "node:v8"
import * as AckSampler from "../../src/programs/measure/ack-latency.ts"
import { coresSince } from "../../src/programs/measure/cpu-usage.ts"
import { monotonicMillis } from "../../src/programs/measure/monotonic-clock.ts"
import { publishAtRate } from "../../src/programs/measure/open-loop.ts"
import { type ParentGone, runChild } from "../../src/programs/processes/child.ts"
import { attached } from "../../src/programs/processes/log-client.ts"
import { type AckTimeout, Publisher, type PublisherHandle, type PublishError } from "../../src/services/Publisher.ts"
import { type BenchRecord, formatSum, makeRecord, sumOf } from "../harness/content.ts"
import { BenchPublisher, benchTopic, type PublisherJob } from "./jobs.ts"

type Handle = PublisherHandle<Uint8Array>

/** Messages between two turns of the event loop, in which acknowledgements and signals arrive. */
const recordsPerTurn = 2048
/** Records offered while the heap is measured: fewer than fit into the lanes. */
const heapRecords = 8 * recordsPerTurn

// A refused message stays stamped in `record`. A plain function, because the compiler optimizes it better than a
// generator's body.
const offerUpTo = (handle: Handle, record: BenchRecord, end: number): boolean => {
  for (let sequence = handle.accepted(); sequence < end; sequence += 1) {
    record.stamp(sequence)
    if (!handle.offer(record.bytes)) return false
  }
  return true
}

// Several sessions take turns; each counts its own records.
const publishAtFullSpeed = Effect.fnUntraced(
  function*(handles: ReadonlyArray<Handle>, record: BenchRecord, upTo: number) {
    const turns = Math.ceil(upTo / recordsPerTurn)
    for (let turn = 1; turn <= turns; turn += 1) {
      const end = Math.min(upTo, turn * recordsPerTurn)
      for (const handle of handles) {
        while (!offerUpTo(handle, record, end)) yield* handle.send(record.bytes)
      }
      yield* Effect.yieldNow
    }
  }
)

// The median over stretches of offers: compilers and collections affect some stretches, an allocation per message all.
const heapPerRecord = (handle: Handle, record: BenchRecord, upTo: number): number => {
  const stretches: Array<number> = []
  while (handle.accepted() < upTo) {
    const first = handle.accepted()
    const last = Math.min(upTo, first + recordsPerTurn)
    const before = usedHeapBytes()
    const accepted = offerUpTo(handle, record, last)
    const after = usedHeapBytes()
    // The measurement itself allocates a little.
    const looking = usedHeapBytes() - after
    if (!accepted) break
    stretches.push(Math.max(0, after - before - looking) / (last - first))
  }
  return stretches.toSorted((a, b) => a - b)[stretches.length >> 1] ?? 0
}

const usedHeapBytes = (): number => getHeapStatistics().used_heap_size

const flushAll = (handles: ReadonlyArray<Handle>): Effect.Effect<void, PublishError | AckTimeout> =>
  Effect.forEach(handles, (handle) => handle.flush, { concurrency: "unbounded", discard: true })

const warmUp = Effect.fnUntraced(function*(handles: ReadonlyArray<Handle>, record: BenchRecord, records: number) {
  const [first] = handles
  yield* publishAtFullSpeed(handles, record, Math.floor(records / 2))
  yield* flushAll(handles)
  const heapBytes = first === undefined
    ? 0
    : heapPerRecord(first, record, Math.min(records, first.accepted() + heapRecords))
  yield* publishAtFullSpeed(handles, record, records)
  yield* flushAll(handles)
  return heapBytes
})

const measure = Effect.fnUntraced(function*(
  job: PublisherJob,
  handles: ReadonlyArray<Handle>,
  untilBegun: Effect.Effect<void, ParentGone>
): Effect.fn.Return<typeof BenchPublisher.result.Type, PublishError | AckTimeout | ParentGone, Scope.Scope> {
  const record = makeRecord(job.recordBytes)
  const warmupPerSession = Math.floor(job.warmupRecords / job.sessions)
  const perSession = warmupPerSession + Math.floor(job.records / job.sessions)
  const heapBytesPerRecord = yield* warmUp(handles, record, warmupPerSession - (job.settlingRecords ?? 0))
  // All publishers begin together: one that still warmed up would take the cores of one that measures.
  yield* untilBegun
  const [first] = handles as readonly [Handle, ...Array<Handle>]
  const sampler = yield* AckSampler.make(first)
  const stamped = (sequence: number) => {
    record.stamp(sequence)
    return record.bytes
  }
  let cores = coresSince()
  let firstOfferMillis = monotonicMillis()
  const lateness = yield* job.recordsPerSecond > 0
    ? publishAtRate(first, sampler, {
      recordsPerSecond: job.recordsPerSecond,
      tickMillis: job.tickMillis,
      upTo: perSession,
      sampledFrom: warmupPerSession,
      onSettled: () => {
        cores = coresSince()
        firstOfferMillis = monotonicMillis()
      },
      recordOf: stamped
    })
    : Effect.as(publishAtFullSpeed(handles, record, perSession), undefined)
  yield* flushAll(handles)
  const lastAckMillis = monotonicMillis()
  sampler.sweep()
  return {
    acknowledged: handles.reduce((sum, handle) => sum + handle.acknowledged(), 0),
    firstOfferMillis,
    lastAckMillis,
    cores: cores(),
    sum: formatSum(BigInt(job.sessions) * sumOf(job.recordBytes, perSession)),
    latency: sampler.latency(),
    heapBytesPerRecord,
    fullEvents: handles.reduce((sum, handle) => sum + handle.fullEvents(), 0),
    ...lateness === undefined ? {} : { lateness }
  }
})

runChild(BenchPublisher, (job, parent) =>
  Effect.gen(function*() {
    const handles: Array<Handle> = []
    for (let i = 0; i < job.sessions; i += 1) handles.push(yield* Publisher.open(benchTopic(job)))
    yield* parent.result(yield* measure(job, handles, Effect.andThen(parent.ready, parent.begin)))
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))
