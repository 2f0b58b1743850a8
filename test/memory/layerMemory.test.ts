/**
 * `Swarm.layerMemory`: a test replaces one layer, and a program works in this heap as over shared memory.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { CurrentHeapRegions } from "../../src/layers/memory/region/HeapRegions.ts"
import * as RingRpc from "../../src/layers/RingRpc.ts"
import * as Swarm from "../../src/layers/Swarm.ts"
import { Barrier } from "../../src/services/Barrier.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"
import { CxlMemory } from "../../src/services/CxlMemory.ts"
import { Messenger } from "../../src/services/Messenger.ts"
import { Ring } from "../../src/services/Ring.ts"
import { callErrorOf } from "../../src/services/RingRpc.ts"

const Quotes = RpcGroup.make(Rpc.make("Price", { payload: { symbol: Schema.String }, success: Schema.Number }))

const serverOn = <A, E>(member: Layer.Layer<A | Swarm.Member, E>) =>
  RpcServer.layer(Quotes).pipe(
    Layer.provide(Quotes.toLayer({ Price: ({ symbol }) => Effect.succeed(symbol.length * 100) })),
    Layer.provide(RingRpc.layerServer()),
    Layer.provideMerge(member)
  )

const clientOn = <A, E>(member: Layer.Layer<A | Swarm.Member, E>) =>
  RingRpc.layerClient({ to: { name: "quotes" } }).pipe(Layer.provideMerge(member))

const memberOf = (options: Swarm.MemoryOptions) =>
  Effect.map(Layer.build(Swarm.layerMemory(options)), (context) => ({
    coordinator: Context.get(context, Coordinator),
    barrier: Context.get(context, Barrier)
  }))

const regionsLeft = Effect.map(CurrentHeapRegions, ({ names }) => names)

describe("Swarm.layerMemory", () => {
  it.effect("provides what the layers over shared memory do", () =>
    Effect.gen(function*() {
      const { self } = yield* Coordinator
      assert.strictEqual(self.name, "alone")
      for (const service of [Messenger, Barrier, Ring, CxlMemory] as const) assert.isDefined(yield* service)
      const { info } = yield* CxlMemory
      assert.deepInclude(info, { name: "memory", backing: "heap" })
    }).pipe(Effect.provide(Swarm.layerMemory({ name: "alone" }))))

  it.effect("lets members that name the same region call each other and meet, and no other", () =>
    Effect.gen(function*() {
      const server = yield* Layer.build(serverOn(Swarm.layerMemory({ region: "market", name: "server" })))
      yield* Context.get(server, Coordinator).publish("quotes")
      const client = yield* Layer.build(clientOn(Swarm.layerMemory({ region: "market", name: "client" })))
      const quotes = yield* Effect.provide(RpcClient.make(Quotes), client)
      assert.strictEqual(yield* quotes.Price({ symbol: "ABC" }), 300)
      const meeting = [server, client].map((context) => Context.get(context, Barrier).enter("done"))
      const results = yield* Effect.all(meeting, { concurrency: "unbounded" })
      assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied"])
      const elsewhere = yield* memberOf({ region: "elsewhere", name: "alone" })
      assert.deepStrictEqual(elsewhere.coordinator.members().map(({ name }) => name), ["alone"])
    }).pipe(Effect.scoped))

  it.effect("the first member coordinates, and with `coordinate: false` waits for a coordinator", () =>
    Effect.gen(function*() {
      const first = yield* Effect.forkScoped(memberOf({ name: "first", coordinate: false }))
      yield* TestClock.adjust("1 second")
      const second = yield* memberOf({ name: "second", coordinate: true })
      const { coordinator } = yield* Fiber.join(first)
      assert.deepStrictEqual([coordinator.coordinates(), second.coordinator.coordinates()], [false, true])
    }).pipe(Effect.scoped))

  for (const time of ["first", "second"]) {
    it.effect(`leaves nothing to the next test (the ${time} time)`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* regionsLeft, [])
        const scope = yield* Scope.make()
        yield* Scope.provide(memberOf({ name: "a" }), scope)
        const { coordinator } = yield* Scope.provide(memberOf({ name: "b" }), scope)
        assert.deepStrictEqual(coordinator.members().map(({ id, name }) => [name, id.slot, id.generation]), [
          ["a", 0, 1],
          ["b", 1, 1]
        ])
        assert.deepStrictEqual(yield* regionsLeft, ["memory"])
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* regionsLeft, [])
      }))
  }

  it.effect("members of tests that run at the same time do not find each other in regions of their own", () => {
    const alone = Effect.gen(function*() {
      const { coordinator } = yield* memberOf({ name: "one" })
      yield* Effect.yieldNow
      return coordinator.members().length
    }).pipe(Effect.scoped, Effect.provide(Swarm.layerMemoryRegions))
    return Effect.map(
      Effect.all([alone, alone, alone], { concurrency: "unbounded" }),
      (counts) => assert.deepStrictEqual(counts, [1, 1, 1])
    )
  })

  it.effect("a member that is killed is noticed without the clock, and its scope closes without it, too", () =>
    Effect.gen(function*() {
      const watcher = yield* memberOf({ name: "watcher" })
      const doomed = yield* Scope.make()
      const server = yield* Scope.provide(Layer.build(serverOn(Swarm.layerMemory({ name: "server" }))), doomed)
      yield* Scope.provide(Context.get(server, Coordinator).publish("quotes"), doomed)
      const client = yield* Layer.build(clientOn(Swarm.layerMemory({ name: "client" })))
      const quotes = yield* Effect.provide(RpcClient.make(Quotes), client)
      assert.strictEqual(yield* quotes.Price({ symbol: "A" }), 100)
      assert.isTrue(yield* Swarm.killMemoryMember({ name: "server" }))
      assert.isFalse(yield* Swarm.killMemoryMember({ name: "server" }))
      yield* watcher.coordinator.awaitMembers(({ length }) => length === 2)
      const error = yield* Effect.flip(quotes.Price({ symbol: "A" }))
      assert.strictEqual(error._tag === "RpcClientError" ? callErrorOf(error)?._tag : error._tag, "NameMissing")
      yield* Scope.close(doomed, Exit.void)
    }).pipe(Effect.scoped))

  it.effect("a coordinator that is killed is lost to the others, without the clock", () =>
    Effect.gen(function*() {
      yield* memberOf({ name: "first" })
      const { coordinator } = yield* memberOf({ name: "second", onLost: () => Effect.void })
      yield* Swarm.killMemoryMember({ name: "first" })
      assert.strictEqual((yield* Effect.flip(coordinator.lost)).reason, "died")
    }).pipe(Effect.scoped))
})
