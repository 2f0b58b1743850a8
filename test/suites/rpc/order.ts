/**
 * The order in which handlers begin, and how they wait for each other, also with calls from within handlers.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as RingRpc from "../../../src/layers/RingRpc.ts"
import { CurrentSwarmMember } from "../../../src/layers/swarm/SwarmMember.ts"
import { Messenger } from "../../../src/services/Messenger.ts"
import {
  at,
  eventually,
  fork,
  joinAll,
  joined,
  staysWaiting,
  type SwarmBackend,
  swarmTest,
  type TestMember
} from "../../backends/swarm.ts"
import { callerOf, callError, type Client, driven, Log, serve } from "./ends.ts"

const Tick = Messenger.event("tick", Schema.Struct({ number: Schema.Int }))
const Tock = Messenger.event("tock", Schema.Struct({ number: Schema.Int }))

class Calls extends RpcGroup.make(
  Rpc.make("Do", { payload: { number: Schema.Int }, success: Schema.Int }),
  Rpc.make("Hold", { payload: { key: Schema.String } }),
  Rpc.make("Back", { payload: { depth: Schema.Int }, success: Schema.Int }),
  Rpc.make("Numbers", { success: Schema.Int, stream: true })
) {}

class Fences extends RpcGroup.make(
  Rpc.make("Fence", { payload: { number: Schema.Int }, success: Schema.Int })
) {}

const Slow = Schema.Int.pipe(Schema.middlewareDecoding((decoding) => Effect.delay(decoding, 30)))

class SlowCalls extends RpcGroup.make(
  Rpc.make("Do", { payload: { number: Slow }, success: Schema.Int }),
  Rpc.make("Hold", { payload: { number: Slow } })
) {}

type Caller = Client<RpcGroup.Rpcs<typeof Calls>>

/** Logs the handlers that begin; they call back if the options say so. */
const handlers = (log: Log, options: { readonly back?: () => Caller | undefined; readonly hold?: Latch.Latch } = {}) =>
  Calls.toLayer({
    Do: ({ number }) => Effect.as(log.note(`call ${number}`), number),
    Hold: ({ key }) => Effect.andThen(log.note(`held ${key}`), options.hold?.await ?? Effect.void),
    Back: ({ depth }) => {
      const client = options.back?.()
      if (depth === 0 || client === undefined) return Effect.succeed(0)
      return Effect.orDie(Effect.map(client.Back({ depth: depth - 1 }), (below) => below + 1))
    },
    Numbers: () => Stream.range(1, 100).pipe(Stream.rechunk(1))
  })

const twoMembers = Effect.fnUntraced(function*(swarm: Parameters<typeof joinAll>[0]) {
  const members = yield* joinAll(swarm, 2)
  return [at(members, 0), at(members, 1)] as const
})

export const rpcOrderSuite = (backend: SwarmBackend): void => {
  describe(`rpc order (${backend.name})`, () => {
    for (const [which, from] of [["the coordinator", 1], ["a member", 0], ["oneself", undefined]] as const) {
      swarmTest(
        backend,
        `B7 in ${which} messages and requests of one sender begin in the order they were sent`,
        (swarm) =>
          Effect.gen(function*() {
            const members = yield* joinAll(swarm, 2)
            const sender = at(members, from ?? 0)
            const receiver = at(members, from === undefined ? 0 : 1 - from)
            const log = new Log()
            yield* serve(receiver, Calls, handlers(log))
            const { client } = yield* callerOf(sender, Calls, { to: { member: receiver.id } })
            yield* receiver.messenger.subscribe(
              Tick,
              ({ number }) =>
                Effect.andThen(log.note(`message ${number}`), number % 10 === 0 ? Effect.sleep(5) : Effect.void)
            )
            const calls = yield* Effect.forEach(Array.from({ length: 100 }, (_, number) => number), (number) =>
              Effect.andThen(
                sender.messenger.send(Tick, { number }, { member: receiver.id }),
                fork(client.Do({ number }))
              ))
            yield* eventually(backend, () =>
              log.events.length === 200)
            assert.deepStrictEqual(
              log.events,
              calls.flatMap((_, number) => [`message ${number}`, `call ${number}`])
            )
            yield* driven(backend, Effect.forEach(calls, Fiber.join))
          })
      )
    }

    swarmTest(
      backend,
      "a call whose handler waits holds up neither messages nor calls of the same sender",
      (swarm) =>
        Effect.gen(function*() {
          const [here, there] = yield* twoMembers(swarm)
          const log = new Log()
          const hold = Latch.makeUnsafe(false)
          yield* serve(there, Calls, handlers(log, { hold }))
          yield* there.messenger.subscribe(Tick, ({ number }) => log.note(`message ${number}`))
          const { client } = yield* callerOf(here, Calls, { to: { member: there.id } })
          const held = yield* fork(client.Hold({ key: "a" }))
          yield* here.messenger.send(Tick, { number: 1 })
          assert.strictEqual(yield* driven(backend, client.Do({ number: 2 })), 2)
          assert.deepStrictEqual(log.events, ["held a", "message 1", "call 2"])
          yield* staysWaiting(backend, held)
          hold.openUnsafe()
          yield* joined(backend, held)
        })
    )

    swarmTest(
      backend,
      "S20 a handler calls its own caller, and is called by that in turn, ten deep",
      (swarm) =>
        Effect.gen(function*() {
          const [here, there] = yield* twoMembers(swarm)
          const log = new Log()
          const to: { here?: Caller; there?: Caller } = {}
          yield* serve(here, Calls, handlers(log, { back: () => to.there }))
          yield* serve(there, Calls, handlers(log, { back: () => to.here }))
          to.there = (yield* callerOf(here, Calls, { to: { member: there.id } })).client
          to.here = (yield* callerOf(there, Calls, { to: { member: here.id } })).client
          assert.strictEqual(yield* driven(backend, to.there.Back({ depth: 10 })), 10)
        })
    )

    swarmTest(
      backend,
      "S20 a message's handler calls its sender, whose stream comes back while it runs",
      (swarm) =>
        Effect.gen(function*() {
          const [here, there] = yield* twoMembers(swarm)
          const log = new Log()
          yield* serve(here, Calls, handlers(log))
          const { client } = yield* callerOf(there, Calls, { to: { member: here.id } })
          yield* there.messenger.subscribe(Tick, ({ number }) =>
            Effect.gen(function*() {
              yield* client.Do({ number })
              const numbers = yield* Stream.runCollect(client.Numbers(undefined))
              yield* log.note(`${numbers.length} numbers`)
            }))
          yield* here.messenger.send(Tick, { number: 1 })
          yield* here.messenger.send(Tick, { number: 2 })
          yield* driven(backend, log.awaits("call 2"))
          yield* eventually(backend, () => log.count("100 numbers") === 2)
        })
    )

    swarmTest(
      backend,
      "S20 in two members at once a message's handler calls the other",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* twoMembers(swarm)
          const log = new Log()
          for (const [index, member] of members.entries()) {
            const other = at(members, 1 - index)
            yield* serve(member, Calls, handlers(log))
            const { client } = yield* callerOf(member, Calls, { to: { member: other.id } })
            // Both are in their handlers before either calls.
            yield* member.messenger.subscribe(Tick, () =>
              log.note(`in ${index}`).pipe(
                Effect.andThen(log.awaits(`in ${1 - index}`)),
                Effect.andThen(client.Do({ number: index })),
                Effect.andThen(log.note(`out ${index}`))
              ))
          }
          for (const { messenger } of members) yield* messenger.send(Tick, { number: 0 })
          yield* driven(backend, Effect.andThen(log.awaits("out 0"), log.awaits("out 1")))
        })
    )

    swarmTest(
      backend,
      "S20 a handler of a member's own message calls that very member",
      (swarm) =>
        Effect.gen(function*() {
          const [here] = yield* twoMembers(swarm)
          const log = new Log()
          yield* serve(here, Calls, handlers(log))
          const { client } = yield* callerOf(here, Calls, { to: { member: here.id } })
          yield* here.messenger.subscribe(
            Tick,
            ({ number }) => Effect.andThen(client.Do({ number }), log.note("answered"))
          )
          yield* here.messenger.send(Tick, { number: 7 }, "local")
          yield* driven(backend, log.awaits("answered"))
        })
    )

    for (const mode of ["deliveryFence", "processingFence"] as const) {
      swarmTest(
        backend,
        `S17 the handlers of two callers' requests enter a fence at once: all return, and nothing is exempt (${mode})`,
        (swarm) =>
          Effect.gen(function*() {
            const members = yield* joinAll(swarm, 3)
            const [root, ...callers] = [at(members, 0), at(members, 1), at(members, 2)] as const
            const log = new Log()
            const exempt: Array<number> = []
            const fence = ({ barrier }: TestMember, number: number) =>
              Effect.map(barrier.enter(`of ${number}`, { mode, deadline: "10 seconds" }), (result) => {
                assert.strictEqual(result._tag, "Satisfied")
                exempt.push(result.exempt.length)
                return number
              })
            // Both are in their handlers before either enters.
            const inside = (number: number) =>
              Effect.andThen(log.note(`in ${number}`), Effect.all([log.awaits("in 1"), log.awaits("in 2")]))
            const served = Fences.toLayer({
              Fence: ({ number }) => Effect.orDie(Effect.andThen(inside(number), fence(root, number)))
            })
            yield* serve(root, Fences, served)
            const call = Effect.fnUntraced(function*(caller: TestMember, number: number) {
              const { client } = yield* callerOf(caller, Fences, { to: { member: root.id } })
              const calling = client.Fence({ number })
              return yield* Effect.all([calling, fence(caller, 1), fence(caller, 2)], { concurrency: "unbounded" })
            })
            const answers = yield* driven(
              backend,
              Effect.forEach(callers, (caller, index) => call(caller, index + 1), { concurrency: "unbounded" })
            )
            assert.deepStrictEqual(answers, [[1, 1, 2], [2, 1, 2]])
            assert.deepStrictEqual(exempt, [0, 0, 0, 0, 0, 0])
          })
      )
    }

    swarmTest(
      backend,
      "a request behind messages that wait for their turn begins after all of them have",
      (swarm) =>
        Effect.gen(function*() {
          const [here, there] = yield* twoMembers(swarm)
          const log = new Log()
          const hold = Latch.makeUnsafe(false)
          yield* serve(there, Calls, handlers(log))
          yield* there.messenger.subscribe(
            Tick,
            ({ number }) => Effect.andThen(log.note(`message ${number}`), number === 1 ? hold.await : Effect.void)
          )
          yield* there.messenger.subscribe(Tock, ({ number }) => log.note(`message ${number}`))
          const { client } = yield* callerOf(here, Calls, { to: { member: there.id } })
          yield* here.messenger.send(Tick, { number: 1 })
          yield* here.messenger.send(Tock, { number: 2 })
          const call = yield* fork(client.Do({ number: 3 }))
          yield* staysWaiting(backend, call)
          assert.deepStrictEqual(log.events, ["message 1"])
          hold.openUnsafe()
          assert.strictEqual(yield* joined(backend, call), 3)
          assert.deepStrictEqual(log.events, ["message 1", "message 2", "call 3"])
        })
    )

    swarmTest(
      backend,
      "a client that takes its stream slowly does not hold up the answers of others",
      (swarm) =>
        Effect.gen(function*() {
          const [here, there] = yield* twoMembers(swarm)
          const log = new Log()
          yield* serve(there, Calls, handlers(log))
          const { client } = yield* callerOf(here, Calls, { to: { member: there.id } })
          const hold = Latch.makeUnsafe(false)
          let taken = 0
          const slow = yield* fork(Stream.runForEach(client.Numbers(undefined, { streamBufferSize: 1 }), () =>
            Effect.suspend(() => {
              taken += 1
              return hold.await
            })))
          yield* eventually(backend, () =>
            taken === 1)
          for (let number = 0; number < 50; number += 1) {
            assert.strictEqual(yield* driven(backend, client.Do({ number })), number)
          }
          assert.strictEqual(taken, 1)
          hold.openUnsafe()
          yield* joined(backend, slow)
          assert.strictEqual(taken, 100)
        })
    )

    swarmTest(
      backend,
      "requests that come before a built server is run keep their order; a server that is never run refuses them",
      (swarm) =>
        Effect.gen(function*() {
          const [here, there] = yield* twoMembers(swarm)
          const log = new Log()
          const context = yield* Layer.build(RingRpc.layerServer()).pipe(
            Effect.provideService(CurrentSwarmMember, there.swarmMember)
          )
          yield* there.messenger.subscribe(Tick, ({ number }) => log.note(`message ${number}`))
          const { client } = yield* callerOf(here, Calls, { to: { member: there.id } })
          const unserved = yield* fork(callError(client.Do({ number: 0 })))
          assert.include((yield* joined(backend, unserved)).message, `does not serve "rpc"`)
          const call = yield* fork(client.Do({ number: 1 }))
          yield* here.messenger.send(Tick, { number: 2 }, { member: there.id })
          yield* staysWaiting(backend, call)
          assert.deepStrictEqual(log.events, [])
          yield* fork(RpcServer.make(Calls).pipe(Effect.provide(handlers(log)), Effect.provideContext(context)))
          assert.strictEqual(yield* joined(backend, call), 1)
          yield* driven(backend, log.awaits("message 2"))
          assert.deepStrictEqual(log.events, ["call 1", "message 2"])
        })
    )

    swarmTest(
      backend,
      "a payload that takes its time to decode keeps its place, and can be given up meanwhile",
      (swarm) =>
        Effect.gen(function*() {
          const [here, there] = yield* twoMembers(swarm)
          const log = new Log()
          const served = SlowCalls.toLayer({
            Do: ({ number }) => Effect.as(log.note(`call ${number}`), number),
            Hold: ({ number }) =>
              Effect.andThen(log.note(`begun ${number}`), Effect.never).pipe(
                Effect.onInterrupt(() => log.note(`interrupted ${number}`))
              )
          })
          const { serving } = yield* serve(there, SlowCalls, served)
          yield* there.messenger.subscribe(Tick, ({ number }) => log.note(`message ${number}`))
          const { client } = yield* callerOf(here, SlowCalls, { to: { member: there.id } })
          const first = yield* fork(client.Hold({ number: 1 }))
          const second = yield* fork(client.Do({ number: 2 }))
          yield* here.messenger.send(Tick, { number: 3 }, { member: there.id })
          yield* eventually(backend, () => serving.counts().accepted > 0)
          yield* Fiber.interrupt(first)
          assert.strictEqual(yield* joined(backend, second), 2)
          yield* driven(backend, log.awaits("message 3"))
          assert.deepStrictEqual(log.events, ["begun 1", "interrupted 1", "call 2", "message 3"])
          yield* eventually(backend, () => serving.inFlight() === 0)
        })
    )
  })
}
