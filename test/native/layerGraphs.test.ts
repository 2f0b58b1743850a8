/**
 * Several members, logs or clients in one process and one layer graph: a graph builds each layer once, so that a layer
 * which is a view of a region must not be shared with another region's.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import * as Rings from "../../src/layers/Rings.ts"
import * as Swarm from "../../src/layers/Swarm.ts"
import { Barrier } from "../../src/services/Barrier.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import { Ring } from "../../src/services/Ring.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { Spawner } from "../../src/services/Spawner.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"

class First extends Context.Service<First, Context.Context<any>>()("test/First") {}
class Second extends Context.Service<Second, Context.Context<any>>()("test/Second") {}

/** A layer's services under a key of its own, so that two of a kind can be used side by side. */
const as = <I, A, E>(service: Context.Key<I, Context.Context<any>>, layer: Layer.Layer<A, E>) =>
  Layer.effect(service, Effect.context<A>()).pipe(Layer.provide(layer))

let counter = 0
const freshRegion = (): string => `test-graph-${process.pid}-${(counter += 1)}`

const words = Topic.make("words", { schema: Schema.String })

const publishAndRead = (context: Context.Context<any>, record: string) =>
  Effect.gen(function*() {
    const publisher = yield* (yield* Publisher).open(words)
    const subscriber = yield* (yield* Subscriber).open(words, { from: "start" })
    yield* publisher.send(record)
    yield* publisher.flush
    return yield* subscriber.records.pipe(Stream.map(({ value }) => value), Stream.take(1), Stream.runCollect)
  }).pipe(Effect.scoped, Effect.provide(context as Context.Context<Publisher | Subscriber>))

describe("one layer graph", () => {
  const enterBoth = (graph: Layer.Layer<First | Second, unknown>) =>
    Effect.gen(function*() {
      const enter = (context: Context.Context<any>) =>
        Barrier.use((barrier) => barrier.enter("ready")).pipe(Effect.provide(context as Context.Context<Barrier>))
      const selves = [yield* First, yield* Second].map((context) => Context.get(context, Coordinator).self.name)
      assert.deepStrictEqual(selves, ["conductor", "player"])
      const results = yield* Effect.all([enter(yield* First), enter(yield* Second)], { concurrency: 2 })
      assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied"])
    }).pipe(Effect.provide(graph))

  it.live("has room for the coordinator and a member of one swarm", () => {
    const region = freshRegion()
    return enterBoth(
      as(Second, Swarm.layerMember({ region, name: "player" })).pipe(
        Layer.provideMerge(as(First, Swarm.layerCoordinator({ region, name: "conductor" })))
      )
    )
  })

  it.live("has room for two members of a swarm in this heap", () =>
    enterBoth(
      as(Second, Swarm.layerMemory({ name: "player" })).pipe(
        Layer.provideMerge(as(First, Swarm.layerMemory({ name: "conductor" })))
      )
    ))

  it.live("has room for two spawners, each its own member's", () =>
    Effect.gen(function*() {
      const region = freshRegion()
      const spawning = <A, E>(member: Layer.Layer<A, E>) =>
        Swarm.layerSpawner.pipe(Layer.provide(member as Layer.Layer<any, E>))
      const member = Swarm.layerMember({ region, name: "player" })
      const coordinator = Swarm.layerCoordinator({ region, name: "conductor" })
      const graph = as(Second, spawning(member)).pipe(Layer.provideMerge(as(First, spawning(coordinator))))
      const spawners = yield* Effect.gen(function*() {
        return [Context.get(yield* First, Spawner), Context.get(yield* Second, Spawner)]
      }).pipe(Effect.provide(graph))
      assert.notStrictEqual(spawners[0], spawners[1])
    }))

  it.live("has room for the rings of two regions", () =>
    Effect.gen(function*() {
      const rings = () =>
        Rings.layerNative.pipe(
          Layer.provide(CxlMemory.layerShm({ region: freshRegion(), geometry: { rings: 2, ringBytes: 65_536 } }))
        )
      const graph = Layer.merge(as(First, rings()), as(Second, rings()))
      yield* Effect.gen(function*() {
        for (const context of [yield* First, yield* Second]) {
          yield* Ring.writer({ name: "ticks" }).pipe(Effect.provide(context as Context.Context<Ring>))
        }
      }).pipe(Effect.scoped, Effect.provide(graph))
    }))

  it.live("has room for a server, its client, and another log beside them", () =>
    Effect.gen(function*() {
      const served = () => {
        const region = freshRegion()
        const server = Log.layerServe({ topics: [words] }).pipe(Layer.provide(CxlMemory.layerShm({ region })))
        return Log.layerClient().pipe(
          Layer.provide(CxlMemory.layerAttach({ region })),
          Layer.provideMerge(server)
        )
      }
      const graph = Layer.merge(as(First, served()), as(Second, served()))
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* publishAndRead(yield* First, "one"), ["one"])
        assert.deepStrictEqual(yield* publishAndRead(yield* Second, "two"), ["two"])
      }).pipe(Effect.provide(graph))
    }))

  it.live("has room for two logs in this heap, and shares one that is named twice", () =>
    Effect.gen(function*() {
      const log = Log.layerMemory({ topics: [words] })
      const graph = Layer.mergeAll(as(First, log), as(Second, Log.layerMemory({ topics: [words] })))
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* publishAndRead(yield* First, "one"), ["one"])
        assert.deepStrictEqual(yield* publishAndRead(yield* Second, "two"), ["two"])
      }).pipe(Effect.provide(graph))
      const twice = Layer.mergeAll(as(First, log), as(Second, log))
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* publishAndRead(yield* First, "one"), ["one"])
        assert.deepStrictEqual(yield* publishAndRead(yield* Second, "two"), ["one"])
      }).pipe(Effect.provide(twice))
    }))
})
