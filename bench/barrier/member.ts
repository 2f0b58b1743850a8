/**
 * A child of the barrier benchmark: one member, which meets the others over and over and then idles.
 */
import * as Effect from "effect/Effect"
import { timedBarriers } from "../../src/programs/bench/barrier-timing.ts"
import { coresSince } from "../../src/programs/measure/cpu-usage.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { inSwarm } from "../../src/programs/processes/swarm-member.ts"
import { BarrierMode } from "../../src/services/schema/BarrierArrival.ts"
import { BarrierMember } from "./jobs.ts"

const idle = Effect.fnUntraced(function*(millis: number) {
  const cores = coresSince()
  yield* Effect.sleep(millis)
  return 100 * cores()
})

runChild(BarrierMember, (job, parent) =>
  Effect.gen(function*() {
    yield* parent.ready
    yield* parent.begin
    const modes = yield* Effect.forEach(BarrierMode.literals, (mode) =>
      Effect.map(timedBarriers(mode, job.warmup, job.rounds), (times) => ({ mode, ...times })))
    // Idle first until the work left by the rounds is done.
    yield* idle(job.idleMillis / 4)
    yield* parent.result({ modes, idlePercent: yield* idle(job.idleMillis) })
    yield* parent.end
  }).pipe(Effect.scoped, inSwarm(job)))
