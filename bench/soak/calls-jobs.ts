/**
 * The jobs of the call soak's two children: one serves, the other calls, and both report their memory.
 */
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import { MemoryUsage } from "../../src/programs/measure/memory-usage.ts"
import { type ChildProgram, programBeside } from "../../src/programs/processes/protocol.ts"
import { SwarmChildFields } from "../../src/programs/processes/swarm-member.ts"

export const Counting = RpcGroup.make(
  /** Returns its payload. */
  Rpc.make("Echo", { payload: { data: Schema.Uint8Array }, success: Schema.Uint8Array }),
  /** `collected`: after a full collection. */
  Rpc.make("Memory", { payload: { collected: Schema.Boolean }, success: MemoryUsage })
)

/** The name that the server publishes in the swarm. */
export const serverName = "server"

export const CallsJob = Schema.Struct({
  ...SwarmChildFields,
  calls: Schema.Int,
  /** Calls between two samples of the memory. */
  every: Schema.Int,
  /** Calls in flight at once. */
  concurrency: Schema.Int,
  /** Bytes of the largest payload; all lengths up to it occur. */
  payloadBytes: Schema.Int,
  /** Calls after which the client is replaced by a new one. */
  perClient: Schema.Int
})
export type CallsJob = typeof CallsJob.Type

export const CallsSample = Schema.Struct({
  calls: Schema.Int,
  /** True if garbage was collected first, as for the first and the last sample, so that only memory in use counts. */
  collected: Schema.Boolean,
  server: MemoryUsage,
  client: MemoryUsage
})
export type CallsSample = typeof CallsSample.Type

export const CallsResult = Schema.Struct({
  seconds: Schema.Number,
  /** Wrong answers. */
  wrong: Schema.Int,
  samples: Schema.Array(CallsSample)
})
export type CallsResult = typeof CallsResult.Type

export const CallsServing: ChildProgram<CallsJob, null> = {
  entry: programBeside(import.meta.url, "calls-server"),
  job: CallsJob,
  result: Schema.Null
}

export const CallsCalling: ChildProgram<CallsJob, CallsResult> = {
  entry: programBeside(import.meta.url, "calls-client"),
  job: CallsJob,
  result: CallsResult
}
