/**
 * A child of the call benchmark: serves, over rings or over a socket.
 */
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as RingRpc from "../../src/layers/RingRpc.ts"
import { Adding, addingLayer, serverName } from "../../src/programs/bench/call-timing.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { inSwarm } from "../../src/programs/processes/swarm-member.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"
import { type RpcJob, RpcServing } from "./jobs.ts"

const serving = RpcServer.layer(Adding).pipe(
  Layer.provide(addingLayer)
)

const overRings = (job: RpcJob, work: Effect.Effect<void>) =>
  Coordinator.use((coordinator) => coordinator.publish(serverName)).pipe(
    Effect.andThen(work),
    Effect.scoped,
    Effect.provide(serving.pipe(Layer.provide(RingRpc.layerServer()))),
    inSwarm(job)
  )

const overSocket = ({ path }: RpcJob, work: Effect.Effect<void>) =>
  work.pipe(Effect.provide(
    serving.pipe(
      Layer.provide(RpcServer.layerProtocolSocketServer),
      Layer.provide(RpcSerialization.layerSchemaBinary()),
      Layer.provide(NodeSocketServer.layer({ path }))
    )
  ))

runChild(RpcServing, (job, parent) =>
  Effect.gen(function*() {
    const work = Effect.andThen(parent.ready, parent.end)
    if (job.over === "ring") yield* overRings(job, work)
    else yield* overSocket(job, work)
  }))
