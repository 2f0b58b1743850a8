/**
 * Pressure, over real processes: rounds without a pause, more than a ring holds, and a stopped member.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Heard } from "./blocks.ts"
import { coordinator, member, type MemberActor, type Order, regionTest } from "./members.ts"
import type { ActorFailed } from "./orders.ts"

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkScoped(effect, { startImmediately: true })

const all = <A = unknown>(actors: ReadonlyArray<MemberActor>, order: (index: number) => Order) =>
  Effect.forEach(actors, (actor, index) => actor.do<A>(order(index)), { concurrency: "unbounded" })

const failureOf = (effect: Effect.Effect<unknown, ActorFailed>) => Effect.map(Effect.flip(effect), ({ tag }) => tag)

const endAll = (actors: ReadonlyArray<MemberActor>) =>
  Effect.gen(function*() {
    for (const actor of actors.toReversed()) assert.deepStrictEqual(yield* actor.end, { code: 0, signal: null })
  })

describe.skipIf(process.platform !== "linux")("pressure over real processes", () => {
  regionTest(
    "S14 rapid reuse: 4 processes, 220 iterations, all see the same rounds, each name's in rising order",
    (region) =>
      Effect.gen(function*() {
        const members = [yield* coordinator(region, "m0")]
        for (const name of ["m1", "m2", "m3"]) members.push(yield* member(region, name))
        const [first, ...rest] = yield* all<ReadonlyArray<string>>(
          members,
          (index) => ({ _tag: "walkRounds", plan: { iterations: 220, index } })
        )
        assert.isAbove(first?.length ?? 0, 3 * 220)
        for (const rounds of rest) assert.deepStrictEqual(rounds, first)
        yield* endAll(members)
      })
  )

  regionTest(
    "B5 3 MB at a slow handler of another process: the sender waits, nothing is lost or torn",
    (region) =>
      Effect.gen(function*() {
        const members = [yield* coordinator(region, "receiver"), yield* member(region, "sender")]
        const [receiver, sender] = members as [MemberActor, MemberActor]
        const [blocks, bytes, restMillis] = [800, 4000, 20]
        yield* receiver.do({ _tag: "takeBlocks", restMillis })
        const begun = performance.now()
        yield* sender.do({ _tag: "sendBlocks", blocks, bytes })
        // The ring holds four blocks, so all pauses but the last lie before the end of the burst.
        assert.isAbove(performance.now() - begun, (blocks / 50 - 2) * restMillis)
        yield* all(members, () => ({ _tag: "enter", name: "through", mode: "processingFence" }))
        assert.deepStrictEqual(yield* receiver.do<Heard>({ _tag: "heard" }), { blocks, wrong: 0 })
        yield* endAll(members)
      })
  )

  regionTest(
    "B9 a member that is stopped for 5 s: no member aborts, its senders wait, nothing is lost",
    (region) =>
      Effect.gen(function*() {
        const members = [yield* coordinator(region, "m0"), yield* member(region, "sender")]
        members.push(yield* member(region, "stopped"))
        const [first, sender, stopped] = members as [MemberActor, MemberActor, MemberActor]
        const blocks = 200
        for (const actor of [first, stopped]) yield* actor.do({ _tag: "takeBlocks", restMillis: 0 })
        stopped.signal("SIGSTOP")
        const sending = yield* fork(sender.do({ _tag: "sendBlocks", blocks, bytes: 1000 }))
        const meeting = yield* fork(failureOf(first.do({ _tag: "enter", name: "meet", deadlineMillis: 1000 })))
        // The test is about these five seconds.
        yield* Effect.sleep("5 seconds")
        assert.strictEqual(yield* Fiber.join(meeting), "BarrierTimedOut")
        assert.isUndefined(sending.pollUnsafe())
        assert.isBelow((yield* first.do<Heard>({ _tag: "heard" })).blocks, blocks)
        stopped.signal("SIGCONT")
        yield* Fiber.join(sending)
        const results = yield* all(members, () => ({ _tag: "enter", name: "meet", mode: "processingFence" }))
        assert.deepStrictEqual(results, ["Satisfied", "Satisfied", "Satisfied"])
        for (const actor of [first, stopped]) {
          assert.deepStrictEqual(yield* actor.do<Heard>({ _tag: "heard" }), { blocks, wrong: 0 })
        }
        yield* endAll(members)
      })
  )
})
