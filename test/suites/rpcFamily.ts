/**
 * Swarms under test for RPC: the same suites run over both families. Each member is a process of its own to the others.
 */
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import { RpcClientError } from "effect/rpc/RpcClientError"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Scope from "effect/Scope"
import * as RingRpc from "../../src/layers/RingRpc.ts"
import type * as Swarm from "../../src/layers/Swarm.ts"
import { type Core, SwarmCore } from "../../src/layers/swarm/SwarmCore.ts"
import { type CallError, callErrorOf, Calling, Serving } from "../../src/services/Call.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"
import type { RegionError } from "../../src/services/CxlMemory.ts"
import type { MemberId } from "../../src/services/Member.ts"
import { Messenger } from "../../src/services/Messenger.ts"

/** One member, with what a test needs of it. */
export interface TestMember {
  readonly id: MemberId
  readonly context: Context.Context<Swarm.Member>
  readonly core: Core
  readonly messenger: Messenger["Service"]
  readonly coordinator: Coordinator["Service"]
  /** As SIGKILL does: from one moment to the next, and nothing is told to anybody. */
  readonly kill: Effect.Effect<void>
}

export interface TestSwarm {
  /** The first one coordinates. */
  readonly join: (name: string, options?: Swarm.SwarmOptions) => Effect.Effect<TestMember, never, Scope.Scope>
}

export interface RpcFamily {
  readonly name: string
  readonly usesTestClock: boolean
  /** Lets that much time go by. */
  readonly elapse: (millis: number) => Effect.Effect<void>
  readonly swarm: <A, E>(
    sizes: Swarm.SwarmSizes,
    run: (swarm: TestSwarm) => Effect.Effect<A, E, Scope.Scope>
  ) => Effect.Effect<A, E | RegionError>
}

/** A test over one swarm, under the family's clock. */
export const rpcTest = <A, E>(
  family: RpcFamily,
  promise: string,
  run: (swarm: TestSwarm) => Effect.Effect<A, E, Scope.Scope>,
  sizes: Swarm.SwarmSizes = {}
): void => {
  const test = family.usesTestClock ? it.effect : it.live
  test(promise, () => family.swarm({ members: 8, ringBytes: 64 * 1024, ...sizes }, run), 60_000)
}

export const memberOf = (context: Context.Context<Swarm.Member>, kill: Effect.Effect<void>): TestMember => {
  const core = Context.get(context, SwarmCore)
  return {
    id: core.self.id,
    context,
    core,
    messenger: Context.get(context, Messenger),
    coordinator: Context.get(context, Coordinator),
    kill
  }
}

/** Builds the layer in a scope of its own, that can be closed before the test ends. */
export const part = Effect.fnUntraced(function*<A, E, R>(layer: Layer.Layer<A, E, R>) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const context = yield* Layer.build(Layer.fresh(layer)).pipe(Scope.provide(scope))
  return { context, close: Scope.close(scope, Exit.void) }
})

export interface TestServer {
  readonly serving: Serving["Service"]
  readonly close: Effect.Effect<void>
}

export const serve = <Rpcs extends Rpc.Any, E>(
  member: TestMember,
  group: RpcGroup.RpcGroup<Rpcs>,
  handlers: Layer.Layer<Rpc.ToHandler<Rpcs>, E>,
  options?: RingRpc.ServerOptions & { readonly concurrency?: number }
) =>
  Effect.map(
    part(
      RpcServer.layer(group, options).pipe(
        Layer.provide(handlers),
        Layer.provideMerge(RingRpc.layerServer(options)),
        Layer.provide(Layer.succeedContext(member.context))
      ) as Layer.Layer<Serving, E | RingRpc.ServiceTaken>
    ),
    ({ close, context }): TestServer => ({ close, serving: Context.get(context, Serving) })
  )

export const callerOf = <Rpcs extends Rpc.Any>(
  member: TestMember,
  group: RpcGroup.RpcGroup<Rpcs>,
  options: RingRpc.ClientOptions
) =>
  Effect.gen(function*() {
    const { close, context } = yield* part(
      Layer.provide(RingRpc.layerClient(options), Layer.succeedContext(member.context))
    )
    const client = yield* RpcClient.make(group).pipe(Effect.provideContext(context)) as Effect.Effect<
      RpcClient.RpcClient<Rpcs, RpcClientError>,
      never,
      Scope.Scope
    >
    return { client, close, calling: Context.get(context, Calling) }
  })

/** The effect, while the clock goes on. */
export const driven = <A, E, R>(family: RpcFamily, effect: Effect.Effect<A, E, R>, millisMax = 10_000) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    for (let millis = 0; millis < millisMax && fiber.pollUnsafe() === undefined; millis += 10) yield* family.elapse(10)
    if (fiber.pollUnsafe() === undefined) assert.fail(`still at it after ${millisMax} ms`)
    return yield* Fiber.join(fiber)
  })

/** Waits until it holds, while the clock goes on. */
export const eventually = Effect.fnUntraced(function*(family: RpcFamily, what: string, holds: () => boolean) {
  for (let i = 0; i < 1000 && !holds(); i += 1) yield* family.elapse(10)
  assert.isTrue(holds(), `it never came true: ${what}`)
})

/** Why the call failed, as the rings say it. */
export const callError = <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<CallError, never, R> =>
  Effect.map(Effect.flip(call), (error) => {
    const found = error instanceof RpcClientError ? callErrorOf(error) : undefined
    if (found === undefined) assert.fail(`no failure of a call: ${String(error)}`)
    return found
  }).pipe(Effect.orDie)
