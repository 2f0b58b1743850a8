/**
 * A child of the call soak: makes calls, and samples the memory of both ends now and then.
 */
import * as Effect from "effect/Effect"
import * as RpcClient from "effect/rpc/RpcClient"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import * as RingRpc from "../../src/layers/RingRpc.ts"
import { memoryInUse, memoryUsage } from "../../src/programs/measure/memory-usage.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { inSwarm } from "../../src/programs/processes/swarm-member.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"
import { CallsCalling, type CallsJob, type CallsSample, Counting, serverName } from "./calls-jobs.ts"

type Client = RpcClient.FromGroup<typeof Counting, RpcClientError>

/** True if the answer equals the payload. */
const echoes = Effect.fnUntraced(function*(client: Client, number: number, { payloadBytes }: CallsJob) {
  const data = new Uint8Array(number % (payloadBytes + 1)).fill(number)
  const answer = yield* client.Echo({ data })
  return answer.length === data.length && answer.at(-1) === data.at(-1)
})

const calling = Effect.fnUntraced(function*(job: CallsJob, told: (calls: number) => void) {
  const { calls, concurrency, every, perClient } = job
  const samples: Array<CallsSample> = []
  const startedMillis = performance.now()
  let wrong = 0
  const look = Effect.fnUntraced(function*(client: Client, made: number, collected: boolean) {
    const server = yield* client.Memory({ collected })
    samples.push({ calls: made, collected, server, client: collected ? memoryInUse() : memoryUsage() })
  })
  const some = (client: Client, from: number, count: number) =>
    Effect.forEach(
      Array.from({ length: count }, (_, i) => from + i),
      (number) => Effect.map(echoes(client, number, job), (isRight) => void (wrong += isRight ? 0 : 1)),
      { concurrency, discard: true }
    )
  // Makes calls with one client, and returns the total number of calls made so far.
  const byOneClient = Effect.fnUntraced(function*(made: number) {
    const client = yield* RpcClient.make(Counting)
    const count = Math.min(perClient, every - (made % every), calls - made)
    yield* some(client, made, count)
    const now = made + count
    told(now)
    if (now % every === 0 || now === calls) yield* look(client, now, false)
    // Collect for the first sample too: one-time allocations are done by then.
    if (now === every || now === calls) yield* look(client, now, true)
    return now
  }, Effect.scoped)
  for (let made = 0; made < calls;) made = yield* byOneClient(made)
  return { seconds: (performance.now() - startedMillis) / 1000, wrong, samples }
})

runChild(CallsCalling, (job, parent) =>
  Effect.gen(function*() {
    yield* parent.ready
    const result = yield* Coordinator.use((coordinator) => coordinator.waitFor(serverName)).pipe(
      Effect.andThen(calling(job, (calls) => parent.progress(calls, 0))),
      Effect.scoped,
      Effect.provide(RingRpc.layerClient({ to: { name: serverName } })),
      inSwarm(job)
    )
    yield* parent.result(result)
    yield* parent.end
  }))
