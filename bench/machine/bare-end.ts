/**
 * A child of the ring benchmark: one end of a bare round trip, in which two event loops wake each other without sending
 * or reading data.
 */
import * as Effect from "effect/Effect"
import * as Histogram from "../../src/programs/measure/histogram.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { BareTrips } from "../ring/jobs.ts"
import * as Machine from "./Machine.ts"

runChild(BareTrips, (job, parent) =>
  Effect.gen(function*() {
    const end = yield* Machine.bareEnd(job.region, job.name)
    const trips = job.warmup + job.trips
    yield* parent.ready
    yield* parent.begin
    const micros = job.asks ? yield* end.ask(job.peer, trips) : new Float64Array(0)
    if (!job.asks) yield* end.answer(job.peer, trips)
    yield* parent.result(Histogram.encodedOf(micros, job.warmup))
    yield* parent.end
  }).pipe(Effect.scoped))
