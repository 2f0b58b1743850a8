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
import { BenchSubscriber, benchTopic, type SubscriberJob } from "./jobs.ts"

const readAll = Effect.fnUntraced(function*(job: SubscriberJob, subscriber: SubscriberHandle<Uint8Array>) {
  const sum = yield* foldingOf(job.fold)
  const order = new OrderCheck()
  const wanted = job.warmupRecords + job.records
  const lags = new Lags()
  let disordered = 0
  let cores = coresSince()
  while (order.records < wanted) {
    const warmingUp = order.records < job.warmupRecords
    const batches = yield* subscriber.pull
    if (batches.length === 0) return yield* new LogEnded({ records: order.records, wanted })
    for (const batch of batches) {
      if (!order.see(batch)) disordered += 1
      sum.add(batch.payload)
      if (!warmingUp) lags.note(batch.publishedMillis)
    }
    if (warmingUp && order.records >= job.warmupRecords) cores = coresSince()
  }
  const lastMillis = monotonicMillis()
  subscriber.release()
  return {
    records: order.records,
    lastMillis,
    cores: cores(),
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

runChild(BenchSubscriber, (job, parent) =>
  Effect.gen(function*() {
    const subscriber = yield* Subscriber.open(benchTopic(job), { from: "start", name: job.name })
    yield* parent.ready
    yield* parent.result(yield* readAll(job, subscriber))
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))
