/**
 * Times barriers without messages, in one member.
 */
import * as Effect from "effect/Effect"
import { Barrier } from "../../services/Barrier.ts"
import type { BarrierMode } from "../../services/schema/BarrierArrival.ts"
import * as Histogram from "../measure/histogram.ts"

/**
 * Enters that many barriers of that mode; the first `warmup` are not counted. Returns the times from each call to its
 * return, and the processor time of this process for all that were counted.
 */
export const timedBarriers = Effect.fnUntraced(function*(mode: BarrierMode, warmup: number, rounds: number) {
  const barrier = yield* Barrier
  const histogram = Histogram.make()
  let usage = process.cpuUsage()
  for (let round = -warmup; round < rounds; round += 1) {
    if (round === 0) usage = process.cpuUsage()
    const before = performance.now()
    yield* barrier.enter("bench", { mode })
    if (round >= 0) histogram.record(1000 * (performance.now() - before))
  }
  const { system, user } = process.cpuUsage(usage)
  return { latency: histogram.encoded(), processorMicros: system + user }
})
