/**
 * A child of `ringfence bench`: serves calls over rings.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcServer from "effect/rpc/RpcServer"
import * as RingRpc from "../../layers/RingRpc.ts"
import { Coordinator } from "../../services/Coordinator.ts"
import { runChild } from "../processes/child.ts"
import { inSwarm } from "../processes/swarm-member.ts"
import { Adding, addingLayer, serverName } from "./call-timing.ts"
import { CallServer } from "./jobs.ts"

runChild(CallServer, (job, parent) =>
  Coordinator.use((coordinator) => coordinator.publish(serverName)).pipe(
    Effect.andThen(parent.ready),
    Effect.andThen(parent.end),
    Effect.scoped,
    Effect.provide(RpcServer.layer(Adding).pipe(Layer.provide(addingLayer), Layer.provide(RingRpc.layerServer()))),
    inSwarm(job)
  ))
