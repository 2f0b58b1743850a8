/**
 * The two ends of calls under test: a server and clients on members of a swarm.
 */
import { assert } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import { RpcClientError } from "effect/rpc/RpcClientError"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Scope from "effect/Scope"
import * as RingRpc from "../../../src/layers/RingRpc.ts"
import { CurrentSwarmMember, type SwarmMember } from "../../../src/layers/swarm/SwarmMember.ts"
import type { DurationInvalid } from "../../../src/services/input/DurationInput.ts"
import { type CallError, callErrorOf, Calling, Serving } from "../../../src/services/RingRpc.ts"
import { fork, joined, type SwarmBackend } from "../../backends/swarm.ts"

interface WithCore {
  readonly swarmMember: SwarmMember
}

/** Every call of a procedure can fail with this. */
export type Client<Rpcs extends Rpc.Any> = RpcClient.RpcClient<Rpcs, RpcClientError>

/** Serves in a scope of its own, that can be closed before the test ends. */
export const serve = Effect.fnUntraced(function*<Rpcs extends Rpc.Any, E>(
  { swarmMember }: WithCore,
  group: RpcGroup.RpcGroup<Rpcs>,
  handlers: Layer.Layer<Rpc.ToHandler<Rpcs>, E>,
  protocol: Layer.Layer<RpcServer.Protocol | Serving, RingRpc.ServiceTaken, CurrentSwarmMember> = RingRpc.layerServer()
) {
  const server = RpcServer.layer(group).pipe(Layer.provide(handlers), Layer.provideMerge(protocol)) as Layer.Layer<
    Serving,
    E | RingRpc.ServiceTaken,
    CurrentSwarmMember
  >
  const { close, context } = yield* part(swarmMember, server)
  return { close, serving: Context.get(context, Serving) }
})

/** A client in a scope of its own, too. */
export const connect = Effect.fnUntraced(function*<Rpcs extends Rpc.Any>(
  { swarmMember }: WithCore,
  group: RpcGroup.RpcGroup<Rpcs>,
  protocol: Layer.Layer<RpcClient.Protocol | Calling, DurationInvalid, CurrentSwarmMember>
) {
  const { close, context, scope } = yield* part(swarmMember, protocol)
  const making = RpcClient.make(group) as Effect.Effect<Client<Rpcs>, never, RpcClient.Protocol | Scope.Scope>
  const client = yield* making.pipe(Effect.provideContext(context), Scope.provide(scope))
  return { client, close, context, calling: Context.get(context, Calling) }
})

/** A client of one member, or of the member that has the name. */
export const callerOf = <Rpcs extends Rpc.Any>(
  member: WithCore,
  group: RpcGroup.RpcGroup<Rpcs>,
  options: RingRpc.ClientOptions
) => connect(member, group, RingRpc.layerClient(options))

const part = Effect.fnUntraced(function*<A, E>(swarmMember: SwarmMember, layer: Layer.Layer<A, E, CurrentSwarmMember>) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const context = yield* Layer.build(Layer.fresh(layer)).pipe(
    Effect.provideService(CurrentSwarmMember, swarmMember),
    Scope.provide(scope)
  )
  return { context, scope, close: Scope.close(scope, Exit.void) }
})

/** The effect, while time goes by. */
export const driven = <A, E, R>(backend: SwarmBackend, effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(fork(effect), (fiber) => joined(backend, fiber))

/** The reason of the failed call, by `callErrorOf`. */
export const callError = <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<CallError, never, R> =>
  Effect.map(Effect.flip(call), (error) => {
    const found = error instanceof RpcClientError ? callErrorOf(error) : undefined
    if (found === undefined) assert.fail(`no failure of a call: ${String(error)}`)
    return found as CallError
  }).pipe(Effect.orDie)

/** Events in handlers, in order, and a wait for one of them. */
export class Log {
  readonly events: Array<string> = []
  readonly #latches = new Map<string, Deferred.Deferred<void>>()

  readonly note = (event: string): Effect.Effect<void> =>
    Effect.sync(() => {
      this.events.push(event)
      Deferred.doneUnsafe(this.#latch(event), Effect.void)
    })

  readonly awaits = (event: string): Effect.Effect<void> => Effect.suspend(() => Deferred.await(this.#latch(event)))

  has(event: string): boolean {
    return this.events.includes(event)
  }

  count(event: string): number {
    return this.events.filter((other) => other === event).length
  }

  #latch(event: string): Deferred.Deferred<void> {
    const latch = this.#latches.get(event) ?? Deferred.makeUnsafe<void>()
    this.#latches.set(event, latch)
    return latch
  }
}
