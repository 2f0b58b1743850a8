/**
 * A child of the log benchmark: reads what memory no longer has, out of the files of a replica.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { monotonicMillis } from "../../src/programs/measure/monotonic-clock.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { LogEnded } from "../../src/programs/processes/log-client.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { BenchHistorian, benchTopic, type HistorianJob } from "./jobs.ts"

const readAll = Effect.fnUntraced(function*(job: HistorianJob) {
  const subscriber = yield* Subscriber.open(benchTopic(job), { from: "start", name: job.name })
  const began = monotonicMillis()
  let [records, bytes] = [0, 0]
  while (records < job.records) {
    const batches = yield* subscriber.pull
    if (batches.length === 0) return yield* new LogEnded({ records, wanted: job.records })
    for (const { messageCount, payload } of batches) {
      records += messageCount
      bytes += payload.length
    }
  }
  const seconds = (monotonicMillis() - began) / 1000
  subscriber.release()
  return { bytes, seconds }
})

runChild(BenchHistorian, (job, parent) =>
  Effect.gen(function*() {
    yield* parent.ready
    yield* parent.begin
    yield* parent.result(yield* Effect.scoped(readAll(job)))
    yield* parent.end
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Log.layerClient({ history: [job.dir] }).pipe(
        Layer.provideMerge(CxlMemory.layerAttach({ region: job.region, processName: job.name }))
      )
    )
  ))
