/**
 * A child of the benchmark of the barriers: one member, that meets the others over and over and then does nothing.
 */
import * as Effect from "effect/Effect"
import { coresSince } from "../../src/programs/measure/cpu-usage.ts"
import * as Histogram from "../../src/programs/measure/histogram.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { inSwarm } from "../../src/programs/processes/swarm-member.ts"
import { Barrier, BarrierMode } from "../../src/services/Barrier.ts"
import { BarrierMember, type BarrierTimes } from "./jobs.ts"

const timesOf = Effect.fnUntraced(function*(mode: BarrierMode, warmup: number, rounds: number) {
  const barrier = yield* Barrier
  const histogram = Histogram.make()
  for (let round = -warmup; round < rounds; round += 1) {
    const before = performance.now()
    yield* barrier.enter("bench", { mode })
    if (round >= 0) histogram.record(1000 * (performance.now() - before))
  }
  return { mode, latency: histogram.counts() } satisfies BarrierTimes["modes"][number]
})

const idle = Effect.fnUntraced(function*(millis: number) {
  const cores = coresSince()
  yield* Effect.sleep(millis)
  return 100 * cores()
})

runChild(BarrierMember, (job, parent) =>
  Effect.gen(function*() {
    yield* parent.ready
    yield* parent.begin
    const modes = yield* Effect.forEach(BarrierMode.literals, (mode) => timesOf(mode, job.warmup, job.rounds))
    // What the rounds left behind is cleared away by then.
    yield* idle(job.idleMillis / 4)
    yield* parent.result({ modes, idlePercent: yield* idle(job.idleMillis) })
    yield* parent.end
  }).pipe(Effect.scoped, inSwarm(job)))
