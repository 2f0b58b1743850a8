/**
 * A child of the log benchmark: reads every byte of every message, and sums them as 64-bit words.
 */
import * as Effect from "effect/Effect"
import { OrderCheck } from "../../src/programs/log-trial/order-check.ts"
import { coresSince } from "../../src/programs/measure/cpu-usage.ts"
import { monotonicMillis } from "../../src/programs/measure/monotonic-clock.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { attached, LogEnded } from "../../src/programs/processes/log-client.ts"
import { Subscriber, type SubscriberHandle } from "../../src/services/Subscriber.ts"
import { foldingOf } from "../harness/checksum.ts"
import { formatSum } from "../harness/content.ts"
import { BenchSubscriber, benchTopic, type Seen, type SubscriberJob } from "./jobs.ts"

const readAll = Effect.fnUntraced(function*(job: SubscriberJob, subscriber: SubscriberHandle<Uint8Array>) {
  const sum = yield* foldingOf(job.fold)
  const order = new OrderCheck()
  const wanted = job.warmupRecords + job.records
  const lags = new Lags()
  let disordered = 0
  let cores: (() => number) | undefined
  while (order.records < wanted) {
    const batches = yield* subscriber.pull
    const warmingUp = order.records < job.warmupRecords
    if (!warmingUp) cores ??= coresSince()
    if (batches.length === 0) return yield* new LogEnded({ records: order.records, wanted })
    for (const batch of batches) {
      if (!order.see(batch)) disordered += 1
      sum.add(batch.payload)
      if (!warmingUp) lags.note(batch.publishedMillis)
    }
    // Give way to the other readers of this process: one that never waits would keep them from it.
    if (job.readers !== undefined) yield* Effect.yieldNow
  }
  const lastMillis = monotonicMillis()
  subscriber.release()
  return {
    records: order.records,
    lastMillis,
    cores: cores?.() ?? 0,
    sum: formatSum(sum.value()),
    disordered,
    lagMillis: lags.of
  }
})

/** The longest lag of each second. */
class Lags {
  readonly of: Array<number> = []
  #beganMillis: number | undefined

  note(publishedMillis: number): void {
    const now = Date.now()
    this.#beganMillis ??= now
    const second = Math.floor((now - this.#beganMillis) / 1000)
    while (this.of.length <= second) this.of.push(0)
    this.of[second] = Math.max(this.of[second] as number, now - publishedMillis)
  }
}

// What one reader saw, if all saw the same: else a sum that no content has.
const together = (seen: ReadonlyArray<Seen>): Seen => {
  const [first] = seen as readonly [Seen]
  return {
    ...first,
    records: Math.min(...seen.map(({ records }) => records)),
    lastMillis: Math.max(...seen.map(({ lastMillis }) => lastMillis)),
    cores: Math.max(...seen.map(({ cores }) => cores)),
    sum: seen.every(({ sum }) => sum === first.sum) ? first.sum : "readers differ",
    disordered: seen.reduce((sum, { disordered }) => sum + disordered, 0)
  }
}

runChild(BenchSubscriber, (job, parent) =>
  Effect.gen(function*() {
    const readers = yield* Effect.forEach(
      Array.from({ length: job.readers ?? 1 }, (_, i) => i === 0 ? job.name : `${job.name}-${i}`),
      (name) => Subscriber.open(benchTopic(job), { from: "start", name })
    )
    yield* parent.ready
    const seen = yield* Effect.forEach(readers, (reader) => readAll(job, reader), { concurrency: "unbounded" })
    yield* parent.result(together(seen))
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))
