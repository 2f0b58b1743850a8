/**
 * The jobs that the call benchmark gives its children: the same procedures, over rings and over a socket.
 */
import * as Schema from "effect/Schema"
import { LatencyHistogram } from "../../src/programs/measure/latency.ts"
import { type ChildProgram, programBeside } from "../../src/programs/processes/protocol.ts"
import { SwarmChildFields } from "../../src/programs/processes/swarm-member.ts"

export const RpcJob = Schema.Struct({
  ...SwarmChildFields,
  /** `direct`: the caller serves itself, without a transport. */
  over: Schema.Literals(["ring", "socket", "direct"]),
  /** The socket's path. */
  path: Schema.String,
  warmup: Schema.Int,
  calls: Schema.Int
})
export type RpcJob = typeof RpcJob.Type

export const RpcServing: ChildProgram<RpcJob, null> = {
  entry: programBeside(import.meta.url, "server"),
  job: RpcJob,
  result: Schema.Null
}

export const RpcCalling: ChildProgram<RpcJob, LatencyHistogram> = {
  entry: programBeside(import.meta.url, "client"),
  job: RpcJob,
  result: LatencyHistogram
}
