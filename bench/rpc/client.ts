/**
 * A child of the call benchmark: makes calls one after the other, over rings, over a socket, or within the process.
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcTest from "effect/rpc/RpcTest"
import * as RingRpc from "../../src/layers/RingRpc.ts"
import { Adding, addingLayer, serverName, timedCalls } from "../../src/programs/bench/call-timing.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { inSwarm } from "../../src/programs/processes/swarm-member.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"
import { RpcCalling, type RpcJob } from "./jobs.ts"

const calling = (job: RpcJob) =>
  Effect.flatMap(RpcClient.make(Adding), (client) => timedCalls(job, (numbers) => client.Add(numbers)))

const overRings = (job: RpcJob) =>
  Coordinator.use((coordinator) => coordinator.waitFor(serverName)).pipe(
    Effect.andThen(calling(job)),
    Effect.scoped,
    Effect.provide(RingRpc.layerClient({ to: { name: serverName } })),
    inSwarm(job)
  )

const overSocket = (job: RpcJob) =>
  calling(job).pipe(
    Effect.scoped,
    Effect.provide(
      RpcClient.layerProtocolSocket().pipe(
        Layer.provide(RpcSerialization.layerSchemaBinary()),
        Layer.provide(NodeSocket.layerNet({ path: job.path }))
      )
    )
  )

const direct = (job: RpcJob) =>
  Effect.flatMap(RpcTest.makeClient(Adding), (client) => timedCalls(job, (numbers) => client.Add(numbers))).pipe(
    Effect.scoped,
    Effect.provide(addingLayer)
  )

runChild(RpcCalling, (job, parent) =>
  Effect.gen(function*() {
    yield* parent.ready
    const latency = job.over === "ring"
      ? yield* overRings(job)
      : job.over === "socket"
      ? yield* overSocket(job)
      : yield* direct(job)
    yield* parent.result(latency)
    yield* parent.end
  }))
