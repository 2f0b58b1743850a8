/**
 * A child of the call soak: serves the calls.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcServer from "effect/rpc/RpcServer"
import * as RingRpc from "../../src/layers/RingRpc.ts"
import { memoryInUse, memoryUsage } from "../../src/programs/measure/memory-usage.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { inSwarm } from "../../src/programs/processes/swarm-member.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"
import { CallsServing, Counting, serverName } from "./calls-jobs.ts"

const serving = RpcServer.layer(Counting).pipe(
  Layer.provide(Counting.toLayer({
    Echo: ({ data }) => Effect.succeed(data),
    Memory: ({ collected }) => Effect.sync(collected ? memoryInUse : memoryUsage)
  })),
  Layer.provide(RingRpc.layerServer())
)

runChild(CallsServing, (job, parent) =>
  Coordinator.use((coordinator) => coordinator.publish(serverName)).pipe(
    Effect.andThen(parent.ready),
    Effect.andThen(parent.end),
    Effect.scoped,
    Effect.provide(serving),
    inSwarm(job)
  ))
