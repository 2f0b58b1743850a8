/**
 * A child of `ringfence bench`: a member that meets the others at a series of delivery fences.
 */
import * as Effect from "effect/Effect"
import { runChild } from "../processes/child.ts"
import { inSwarm } from "../processes/swarm-member.ts"
import { timedBarriers } from "./barrier-timing.ts"
import { BarrierMember } from "./jobs.ts"

runChild(BarrierMember, (job, parent) =>
  Effect.gen(function*() {
    yield* parent.ready
    yield* parent.begin
    const { latency } = yield* timedBarriers("deliveryFence", job.warmup, job.rounds)
    yield* parent.result(latency)
    yield* parent.end
  }).pipe(Effect.scoped, inSwarm(job)))
