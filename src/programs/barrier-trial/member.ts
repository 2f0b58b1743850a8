/**
 * A child of a barrier trial: one member of the swarm that its parent coordinates.
 */
import * as Effect from "effect/Effect"
import * as Swarm from "../../layers/Swarm.ts"
import { runChild } from "../processes/child.ts"
import { TrialMember } from "./jobs.ts"
import { listen, takePart } from "./rounds.ts"

runChild(TrialMember, (job, parent) =>
  Effect.gen(function*() {
    const tally = yield* listen(job)
    yield* parent.ready
    yield* parent.begin
    yield* parent.result(yield* takePart(job, tally, (iterations) => parent.progress(iterations, 0)))
    // Stay a member until all have reported, so that no living member is named as departed.
    yield* parent.end
  }).pipe(Effect.scoped, Effect.provide(Swarm.layerMember({ region: job.region, name: job.name }))))
