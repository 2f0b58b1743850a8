/**
 * A child of the benchmark of calls: calls one after the other, over rings, over a socket, or itself.
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcTest from "effect/rpc/RpcTest"
import * as RingRpc from "../../src/layers/RingRpc.ts"
import { latencyOf, settled } from "../../src/programs/measure/percentiles.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { inSwarm } from "../../src/programs/processes/swarm-member.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"
import { Adding, RpcCalling, type RpcJob, serverName } from "./jobs.ts"

/** The sum that came back is not the sum. */
class SumWrong extends Error {}

const timed = Effect.fnUntraced(
  function*<E>(
    { calls, warmup }: RpcJob,
    add: (numbers: { readonly a: number; readonly b: number }) => Effect.Effect<number, E>
  ) {
    const micros = new Float64Array(warmup + calls)
    let before = performance.now()
    for (let call = 0; call < micros.length; call += 1) {
      const sum = yield* add({ a: call, b: 1 })
      const now = performance.now()
      micros[call] = 1000 * (now - before)
      before = now
      if (sum !== call + 1) return yield* Effect.die(new SumWrong(`${call} + 1 is not ${sum}`))
    }
    return latencyOf(settled(micros, warmup))
  }
)

const calling = (job: RpcJob) =>
  Effect.flatMap(RpcClient.make(Adding), (client) => timed(job, (numbers) => client.Add(numbers)))

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
  Effect.flatMap(RpcTest.makeClient(Adding), (client) => timed(job, (numbers) => client.Add(numbers))).pipe(
    Effect.scoped,
    Effect.provide(Adding.toLayer({ Add: ({ a, b }) => Effect.succeed(a + b) }))
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
