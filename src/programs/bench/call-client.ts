/**
 * A child of `ringfence bench`: calls over rings, one call after the other.
 */
import * as Effect from "effect/Effect"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RingRpc from "../../layers/RingRpc.ts"
import { Coordinator } from "../../services/Coordinator.ts"
import { runChild } from "../processes/child.ts"
import { inSwarm } from "../processes/swarm-member.ts"
import { Adding, serverName, timedCalls } from "./call-timing.ts"
import { CallClient } from "./jobs.ts"

runChild(CallClient, (job, parent) =>
  Effect.gen(function*() {
    yield* Coordinator.use((coordinator) => coordinator.waitFor(serverName))
    const client = yield* RpcClient.make(Adding)
    yield* parent.ready
    yield* parent.result(yield* timedCalls(job, (numbers) => client.Add(numbers)))
    yield* parent.end
  }).pipe(Effect.scoped, Effect.provide(RingRpc.layerClient({ to: { name: serverName } })), inSwarm(job)))
