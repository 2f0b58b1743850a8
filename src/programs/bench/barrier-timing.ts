/**
 * Times barriers without messages, in one member.
 */
import * as Effect from "effect/Effect"
import { Barrier } from "../../services/Barrier.ts"
import type { BarrierMode } from "../../services/schema/BarrierArrival.ts"
import * as Histogram from "../measure/histogram.ts"

/** Enters that many barriers of that mode; the first `warmup` are not counted. */
export const timedBarriers = Effect.fnUntraced(function*(mode: BarrierMode, warmup: number, rounds: number) {
  const barrier = yield* Barrier
  const histogram = Histogram.make()
  for (let round = -warmup; round < rounds; round += 1) {
    const before = performance.now()
    yield* barrier.enter("bench", { mode })
    if (round >= 0) histogram.record(1000 * (performance.now() - before))
  }
  return histogram.encoded()
})
