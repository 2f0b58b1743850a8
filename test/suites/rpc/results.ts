/**
 * The same procedures give the same results over rings as over Effect RPC's own test client.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Rpc from "effect/rpc/Rpc"
import type * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcTest from "effect/rpc/RpcTest"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { at, joinAll, type SwarmBackend, swarmTest } from "../../backends/swarm.ts"
import { callerOf, driven, Log, serve } from "./ends.ts"

class TooLarge extends Schema.TaggedError<TooLarge>()("TooLarge", { limit: Schema.Int }) {}
class Odd extends Schema.TaggedError<Odd>()("Odd", { value: Schema.Int }) {}

const Everything = Schema.Struct({
  text: Schema.String,
  big: Schema.BigInt,
  bytes: Schema.Uint8Array,
  at: Schema.DateFromString,
  maybe: Schema.optionalKey(Schema.Int)
})

class Procedures extends RpcGroup.make(
  Rpc.make("Echo", { payload: { value: Everything }, success: Everything }),
  Rpc.make("Halve", { payload: { value: Schema.Int }, success: Schema.Int, error: Schema.Union([Odd, TooLarge]) }),
  Rpc.make("Nothing"),
  Rpc.make("Die", { payload: { message: Schema.String } }),
  Rpc.make("Interrupted", { success: Schema.Int }),
  Rpc.make("Wait", { payload: { key: Schema.String }, success: Schema.String }),
  Rpc.make("Count", { payload: { to: Schema.Int }, success: Schema.Int, error: TooLarge, stream: true }),
  Rpc.make("Dying", { success: Schema.Int, stream: true }),
  Rpc.make("Forever", { payload: { key: Schema.String }, success: Schema.Int, stream: true }),
  Rpc.make("Later", { payload: { key: Schema.String } })
) {}

const handlers = (seen: Log) =>
  Procedures.toLayer({
    Echo: ({ value }) => Effect.succeed(value),
    Halve: ({ value }) => {
      if (value > 100) return Effect.fail(new TooLarge({ limit: 100 }))
      return value % 2 === 1 ? Effect.fail(new Odd({ value })) : Effect.succeed(value / 2)
    },
    Nothing: () => Effect.void,
    Die: ({ message }) => Effect.die(new Error(message)),
    Interrupted: () => Effect.interrupt,
    Wait: ({ key }) =>
      Effect.andThen(seen.note(`begun ${key}`), Effect.never).pipe(
        Effect.onInterrupt(() => seen.note(`interrupted ${key}`))
      ),
    Count: ({ to }) => {
      const counted = Stream.range(1, Math.min(to, 5))
      return to > 5 ? Stream.concat(counted, Stream.fail(new TooLarge({ limit: 5 }))) : counted
    },
    Dying: () => Stream.concat(Stream.make(1), Stream.die(new Error("in mid-stream"))),
    Forever: ({ key }) =>
      Stream.ensuring(Stream.iterate(0, (n) => n + 1).pipe(Stream.rechunk(1)), seen.note(`ended ${key}`)),
    Later: ({ key }) => seen.note(`later ${key}`)
  })

type Client = RpcClient.RpcClient<RpcGroup.Rpcs<typeof Procedures>, any>

const shown = <A, E>(exit: Exit.Exit<A, E>): unknown =>
  exit._tag === "Success"
    ? exit.value
    : exit.cause.reasons.map((reason) => {
      if (Cause.isFailReason(reason)) return { failed: JSON.stringify(reason.error), tag: (reason.error as any)._tag }
      return Cause.isDieReason(reason) ? { died: String((reason.defect as Error).message) } : "interrupted"
    })

const value = {
  text: "héllo ✓",
  big: 2n ** 80n,
  bytes: new Uint8Array([0, 255, 7]),
  at: new Date("2026-01-02T03:04:05Z")
}

/** The results of a program that uses all procedures, step by step. */
const everything = (client: Client, seen: Log) =>
  Effect.gen(function*() {
    const results: Array<unknown> = []
    const note = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.map(Effect.exit(effect), (exit) => void results.push(shown(exit)))
    yield* note(client.Echo({ value }))
    yield* note(client.Echo({ value: { ...value, maybe: 3 } }))
    for (const half of [4, 5, 500]) yield* note(client.Halve({ value: half }))
    yield* note(client.Nothing(undefined))
    yield* note(client.Interrupted(undefined))
    yield* note(client.Die({ message: "a defect" }))
    yield* note(Effect.all([1, 2, 3, 4].map((n) => client.Halve({ value: n * 2 })), { concurrency: "unbounded" }))
    for (const to of [0, 3, 9]) {
      const elements: Array<number> = []
      yield* note(Stream.runForEach(client.Count({ to }), (n) => Effect.sync(() => void elements.push(n))))
      results.push(elements)
    }
    yield* note(Stream.runCollect(client.Dying(undefined)))
    yield* note(client.Forever({ key: "taken" }).pipe(Stream.take(3), Stream.runCollect))
    yield* note(seen.awaits("ended taken"))
    yield* note(interrupting(client, seen))
    yield* note(queueing(client))
    yield* note(client.Later({ key: "discarded" }, { discard: true }))
    yield* note(seen.awaits("later discarded"))
    return { results, events: seen.events }
  })

const interrupting = (client: Client, seen: Log) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(client.Wait({ key: "a" }))
    yield* seen.awaits("begun a")
    yield* Fiber.interrupt(fiber)
    yield* seen.awaits("interrupted a")
    return "the handler was interrupted"
  })

const queueing = (client: Client) =>
  Effect.scoped(Effect.gen(function*() {
    const queue = yield* client.Count({ to: 4 }, { asQueue: true })
    return [yield* Queue.take(queue), yield* Queue.take(queue)]
  }))

const expected = Effect.gen(function*() {
  const seen = new Log()
  const client = yield* RpcTest.makeClient(Procedures).pipe(Effect.provide(handlers(seen)))
  return yield* everything(client, seen)
}).pipe(Effect.scoped)

export const rpcResultsSuite = (backend: SwarmBackend): void => {
  describe(`rpc results (${backend.name})`, () => {
    it.live("Effect RPC's own test client gives results at all", () =>
      Effect.map(expected, ({ events, results }) => {
        assert.include(events, "interrupted a")
        assert.deepInclude(results, [1, 2, 3])
        assert.deepInclude(results, [{ died: "a defect" }])
      }))

    for (const [whom, self] of [["another member", false], ["oneself", true]] as const) {
      swarmTest(
        backend,
        `acceptance 5: calls to ${whom} give the same results as in process`,
        (swarm) =>
          Effect.gen(function*() {
            const members = yield* joinAll(swarm, 2)
            const here = at(members, 0)
            const there = at(members, self ? 0 : 1)
            const seen = new Log()
            yield* serve(there, Procedures, handlers(seen))
            const { calling, client } = yield* callerOf(here, Procedures, { to: { member: there.id } })
            const result = yield* driven(backend, everything(client, seen))
            assert.deepStrictEqual(result, yield* expected)
            assert.strictEqual(calling.inFlight(), 0)
          })
      )
    }
  })
}
