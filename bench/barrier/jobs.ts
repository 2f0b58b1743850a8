/**
 * The jobs that the barrier benchmark gives its members, and their answers.
 */
import * as Schema from "effect/Schema"
import { LatencyHistogram } from "../../src/programs/measure/latency.ts"
import { type ChildProgram, programBeside } from "../../src/programs/processes/protocol.ts"
import { SwarmChildFields } from "../../src/programs/processes/swarm-member.ts"
import { BarrierMode } from "../../src/services/schema/BarrierArrival.ts"

export const BarrierJob = Schema.Struct({
  ...SwarmChildFields,
  /** Barriers of each mode before the clock starts. */
  warmup: Schema.Int,
  rounds: Schema.Int,
  idleMillis: Schema.Finite
})
export type BarrierJob = typeof BarrierJob.Type

export const BarrierTimes = Schema.Struct({
  /** From the call to its return, as this member saw it. */
  modes: Schema.Array(Schema.Struct({
    mode: BarrierMode,
    latency: LatencyHistogram,
    /** Of this process for all timed barriers of that mode, those of its threads included. */
    processorMicros: Schema.Finite
  })),
  /** Share of a core while idle. */
  idlePercent: Schema.Finite
})
export type BarrierTimes = typeof BarrierTimes.Type

export const BarrierMember: ChildProgram<BarrierJob, BarrierTimes> = {
  entry: programBeside(import.meta.url, "member"),
  job: BarrierJob,
  result: BarrierTimes
}
