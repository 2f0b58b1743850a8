/**
 * Handlers: when they run, when they stop, and that failing handlers do not disturb others.
 */
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Messenger } from "../../../src/services/Messenger.ts"
import {
  at,
  enterAll,
  fork,
  joinAll,
  joined,
  staysWaiting,
  type SwarmBackend,
  swarmTest
} from "../../backends/swarm.ts"
import { collect } from "./delivery.ts"

const Tick = Messenger.event("tick", Schema.Int)
const Echo = Messenger.event("echo", Schema.Int)

/** A scope that the test closes while handlers run. */
const part = Effect.gen(function*() {
  const scope = yield* Scope.fork(yield* Effect.scope)
  return { scope, close: Scope.close(scope, Exit.void) }
})

export const messengerHandlersSuite = (backend: SwarmBackend): void => {
  describe(`handlers (${backend.name})`, () => {
    swarmTest(
      backend,
      "S04a a handler that closes another of the same message: that one does not run",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 1)
          const { messenger } = at(members, 0)
          const second = yield* part
          const ran: Array<string> = []
          yield* messenger.subscribe(Tick, () =>
            Effect.gen(function*() {
              yield* second.close
              ran.push("first")
            }))
          yield* messenger.subscribe(Tick, () => Effect.sync(() => void ran.push("second"))).pipe(
            Scope.provide(second.scope)
          )
          yield* messenger.send(Tick, 1, "local")
          yield* messenger.send(Tick, 2, "local")
          yield* enterAll(members, "sent", { mode: "processingFence" })
          assert.deepStrictEqual(ran, ["first", "first"])
        })
    )

    swarmTest(
      backend,
      "S04b closing from another fiber waits until the running handler has ended",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 1)
          const { messenger } = at(members, 0)
          const subscription = yield* part
          const gate = yield* Latch.make(false)
          const started = yield* Deferred.make<void>()
          const ran: Array<number> = []
          yield* messenger.subscribe(Tick, (value) =>
            Effect.gen(function*() {
              yield* Deferred.succeed(started, undefined)
              yield* gate.await
              ran.push(value)
            })).pipe(Scope.provide(subscription.scope))
          yield* messenger.send(Tick, 1, "local")
          yield* messenger.send(Tick, 2, "local")
          yield* Deferred.await(started)
          const closing = yield* fork(Effect.map(subscription.close, () => [...ran]))
          yield* staysWaiting(backend, closing)
          yield* gate.open
          assert.deepStrictEqual(yield* joined(backend, closing), [1])
          yield* enterAll(members, "sent", { mode: "processingFence" })
          assert.deepStrictEqual(ran, [1])
        })
    )

    swarmTest(
      backend,
      "S04c a handler that closes itself returns, and runs no second time",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 1)
          const { messenger } = at(members, 0)
          const own = yield* part
          const ran: Array<string> = []
          yield* messenger.subscribe(Tick, (value) =>
            Effect.gen(function*() {
              ran.push(`begins ${value}`)
              yield* own.close
              yield* Effect.yieldNow
              ran.push(`ends ${value}`)
            })).pipe(Scope.provide(own.scope))
          for (const value of [1, 2, 3]) yield* messenger.send(Tick, value, "local")
          yield* enterAll(members, "sent", { mode: "processingFence" })
          assert.deepStrictEqual(ran, ["begins 1", "ends 1"])
        })
    )

    swarmTest(
      backend,
      "S04 two handlers that close each other's subscription both come to their end",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const { messenger } = at(members, 0)
          const [one, two] = [yield* part, yield* part]
          const both = yield* Latch.make(false)
          const begun = new Set<string>()
          const ended: Array<string> = []
          const closes = (name: string, other: Effect.Effect<void>) => () =>
            Effect.gen(function*() {
              if (begun.add(name).size === 2) yield* both.open
              yield* both.await
              yield* other
              ended.push(name)
            })
          yield* messenger.subscribe(Tick, closes("one", two.close)).pipe(Scope.provide(one.scope))
          yield* messenger.subscribe(Echo, closes("two", one.close)).pipe(Scope.provide(two.scope))
          // two senders, so that their handlers run side by side
          yield* at(members, 0).messenger.send(Tick, 1, "local")
          yield* at(members, 1).messenger.send(Echo, 1)
          yield* joined(backend, yield* fork(enterAll(members, "sent", { mode: "processingFence" })))
          assert.sameMembers(ended, ["one", "two"])
        })
    )

    swarmTest(
      backend,
      "S04 a fiber outside all handlers waits even for a handler that is closing another subscription",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const { messenger } = at(members, 0)
          const [one, two] = [yield* part, yield* part]
          const gate = yield* Latch.make(false)
          const gateOfOne = yield* Latch.make(false)
          yield* Effect.addFinalizer(() => Effect.andThen(gate.open, gateOfOne.open))
          const [running, oneRuns] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
          let oneEnded = false
          yield* messenger.subscribe(Echo, () => Effect.andThen(Deferred.succeed(running, undefined), gate.await)).pipe(
            Scope.provide(two.scope)
          )
          yield* messenger.subscribe(Tick, () =>
            Effect.gen(function*() {
              yield* Deferred.succeed(oneRuns, undefined)
              yield* two.close
              yield* gateOfOne.await
              oneEnded = true
            })).pipe(Scope.provide(one.scope))
          yield* at(members, 1).messenger.send(Echo, 1)
          yield* Deferred.await(running)
          yield* at(members, 0).messenger.send(Tick, 1, "local")
          yield* Deferred.await(oneRuns)
          const closing = yield* fork(Effect.map(one.close, () => oneEnded))
          yield* staysWaiting(backend, closing)
          yield* gate.open
          yield* staysWaiting(backend, closing)
          yield* gateOfOne.open
          assert.isTrue(yield* joined(backend, closing))
        })
    )

    swarmTest(
      backend,
      "a handler that throws, fails or dies is counted, and the next message comes",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const seen: Array<number> = []
          const ways: ReadonlyArray<() => Effect.Effect<void, string>> = [
            () => Effect.fail("fails"),
            () => Effect.die(new Error("dies")),
            () =>
              Effect.sync(() => {
                throw new Error("throws in an effect")
              }),
            () => {
              throw new Error("throws instead of giving an effect")
            },
            () => Effect.interrupt
          ]
          yield* at(members, 1).messenger.subscribe(Tick, (value) => {
            seen.push(value)
            return ways[value]?.() ?? Effect.void
          })
          for (let value = 0; value <= ways.length; value += 1) yield* at(members, 0).messenger.send(Tick, value)
          yield* joined(backend, yield* fork(enterAll(members, "sent", { mode: "processingFence" })))
          assert.deepStrictEqual(seen, [0, 1, 2, 3, 4, 5])
          assert.strictEqual(at(members, 1).messenger.counts().failed, ways.length)
        })
    )

    swarmTest(
      backend,
      "a handler may send, to its own sender too, and what it sends is delivered",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const echoes = yield* collect(at(members, 0), Echo)
          for (const { messenger } of members.slice(1)) {
            yield* messenger.subscribe(Tick, (value, { sender }) => messenger.send(Echo, value, { member: sender }))
          }
          for (let value = 0; value < 20; value += 1) yield* at(members, 0).messenger.send(Tick, value)
          yield* enterAll(members, "handled", { mode: "processingFence" })
          yield* enterAll(members, "answered", { mode: "processingFence" })
          const twice = Array.from({ length: 20 }, (_, value) => value).flatMap((value) => [value, value])
          assert.deepStrictEqual(echoes.toSorted((a, b) => a - b), twice)
        })
    )

    swarmTest(backend, "handlers of several kinds keep their sender's order", (swarm) =>
      Effect.gen(function*() {
        const members = yield* joinAll(swarm, 2)
        const order: Array<number> = []
        const { messenger } = at(members, 1)
        yield* messenger.subscribe(Tick, (value) =>
          Effect.gen(function*() {
            order.push(value)
            yield* Effect.sleep(3)
          }))
        yield* messenger.subscribe(Echo, (value) => Effect.sync(() => void order.push(value)))
        for (let value = 0; value < 12; value += 1) {
          yield* at(members, 0).messenger.send(value % 3 === 0 ? Tick : Echo, value)
        }
        yield* joined(backend, yield* fork(enterAll(members, "sent", { mode: "processingFence" })))
        assert.deepStrictEqual(order, Array.from({ length: 12 }, (_, value) => value))
      }))

    swarmTest(
      backend,
      "a subscription by name begins when that name appears, and follows it",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const got: Array<number> = []
          yield* at(members, 0).messenger.subscribe(Tick, (value) => {
            got.push(value)
            return Effect.void
          }, { from: { name: "clock" } })
          const send = (index: number, value: number) => at(members, index).messenger.send(Tick, value)
          yield* send(1, 1)
          yield* enterAll(members, "none")
          const name = yield* part
          yield* at(members, 1).coordinator.publish("clock").pipe(Scope.provide(name.scope))
          yield* send(1, 2)
          yield* send(2, 3)
          yield* enterAll(members, "one")
          yield* name.close
          yield* at(members, 2).coordinator.publish("clock")
          yield* send(1, 4)
          yield* send(2, 5)
          yield* enterAll(members, "two")
          assert.deepStrictEqual(got, [2, 5])
        })
    )

    swarmTest(backend, "a subscription that is made in a handler is no part of it", (swarm) =>
      Effect.gen(function*() {
        const members = yield* joinAll(swarm, 2)
        const scope = yield* Effect.scope
        const { barrier, messenger } = at(members, 0)
        const result = yield* Deferred.make<string>()
        yield* messenger.subscribe(Tick, () =>
          messenger.subscribe(Echo, () =>
            barrier.enter("from within", { deadline: "5 seconds" }).pipe(
              Effect.match({
                onFailure: ({ _tag }) =>
                  _tag,
                onSuccess: ({ _tag }) => _tag
              }),
              Effect.flatMap((tag) => Deferred.succeed(result, tag))
            )).pipe(Scope.provide(scope), Effect.orDie))
        yield* messenger.send(Tick, 1, "local")
        yield* enterAll(members, "subscribed", { mode: "processingFence" })
        yield* messenger.send(Echo, 1, "local")
        const other = yield* fork(at(members, 1).barrier.enter("from within", { deadline: "5 seconds" }))
        yield* joined(backend, other)
        assert.strictEqual(yield* Deferred.await(result), "Satisfied")
      }))

    swarmTest(backend, "no handler runs once its member has left", (swarm) =>
      Effect.gen(function*() {
        const members = yield* joinAll(swarm, 2)
        const ticks = yield* collect(at(members, 1), Tick)
        yield* at(members, 0).messenger.send(Tick, 1)
        yield* enterAll(members, "one")
        yield* at(members, 1).close
        yield* at(members, 0).messenger.send(Tick, 2)
        yield* backend.elapse(20)
        assert.deepStrictEqual(ticks, [1])
      }))
  })
}
