/**
 * A member in a process of its own that serves or makes calls, and can be killed or stopped.
 *
 * Usage: node rpcActor.ts <serve|call> <region> <name>
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as RpcClient from "effect/rpc/RpcClient"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Stream from "effect/Stream"
import * as RingRpc from "../../src/layers/RingRpc.ts"
import * as Swarm from "../../src/layers/Swarm.ts"
import { Coordinator, type NameRefused } from "../../src/services/Coordinator.ts"
import type { DurationInvalid } from "../../src/services/input/DurationInput.ts"
import type { CoordinatorLost, ShuttingDown } from "../../src/services/schema/Member.ts"
import { ActorCalls, ParentCalls } from "./rpcCalls.ts"
import { fallSilent, tell } from "./telling.ts"

const [part = "", region = "", name = ""] = process.argv.slice(2)

const parent = RingRpc.layerClient({ to: { name: "parent" }, service: "parent" })

const over = Latch.makeUnsafe(false)

const handlers = ActorCalls.toLayer(Effect.gen(function*() {
  const client = yield* RpcClient.make(ParentCalls)
  return {
    Pid: () => Effect.succeed(process.pid),
    Echo: ({ text }) => Effect.succeed(text),
    Mark: ({ number }) => Effect.orDie(client.Mark({ number }, { discard: true })),
    Hold: () => Effect.never,
    Count: () => Stream.iterate(0, (n) => n + 1).pipe(Stream.rechunk(1), Stream.tap(() => Effect.sleep(1))),
    End: () => Effect.asVoid(over.open)
  }
}))

const serve = Effect.gen(function*() {
  yield* (yield* Coordinator).publish(name)
  yield* tell({ _tag: "ready", sessionId: 0 })
  yield* over.await
  yield* tell({ _tag: "done", records: 0 })
}).pipe(
  Effect.scoped,
  Effect.provide(
    RpcServer.layer(ActorCalls).pipe(Layer.provide(handlers), Layer.provide([RingRpc.layerServer(), parent]))
  )
)

const call = Effect.gen(function*() {
  const client = yield* RpcClient.make(ParentCalls)
  yield* Effect.forkScoped(client.Hold(undefined))
  yield* Stream.runForEach(client.Count(undefined), (n) => tell({ _tag: "acknowledged", records: n }))
}).pipe(Effect.scoped, Effect.provide(parent))

const failed = (error: { readonly _tag?: string; readonly message: string }) =>
  tell({ _tag: "failed", error: error._tag ?? "defect", message: error.message })

type Failure = DurationInvalid | RpcClientError | RingRpc.ServiceTaken | NameRefused | CoordinatorLost | ShuttingDown

const program: Effect.Effect<void, Failure, Swarm.Member> = part === "serve" ? serve : call

await Effect.runPromise(
  program.pipe(
    Effect.provide(Swarm.layerMember({ region, name })),
    Effect.catch(failed),
    Effect.catchDefect((defect) => failed({ message: String(defect) }))
  )
)
fallSilent()
