/**
 * A child of the demonstration of the barrier: one member of the swarm that its parent coordinates.
 */
import * as Effect from "effect/Effect"
import * as Swarm from "../../layers/Swarm.ts"
import { runChild } from "../processes/child.ts"
import { FenceMember } from "./jobs.ts"
import { listen, takePart } from "./rounds.ts"

runChild(FenceMember, (job, parent) =>
  Effect.gen(function*() {
    const tally = yield* listen(job)
    yield* parent.ready
    yield* parent.begin
    yield* parent.result(yield* takePart(job, tally, (iterations) => parent.progress(iterations, 0)))
    // It stays a member until all have said what they saw: nobody else is to be named as departed.
    yield* parent.end
  }).pipe(Effect.scoped, Effect.provide(Swarm.layerMember({ region: job.region, name: job.name }))))
