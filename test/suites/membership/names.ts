/**
 * Names, groups, and suspects.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { NameMissing, NameRefused } from "../../../src/services/Coordinator.ts"
import {
  at,
  enterAll,
  eventually,
  failedWith,
  fork,
  joinAll,
  joined,
  type SwarmBackend,
  swarmTest
} from "../../backends/swarm.ts"
import { stoppable } from "../../faults/stoppable.ts"
import { chatter } from "./failover.ts"
import { changesOf, namesOf } from "./leaving.ts"
import { soon, timed } from "./times.ts"

const part = Effect.map(Effect.flatMap(Effect.scope, Scope.fork), (scope) => ({
  scope,
  close: Scope.close(scope, Exit.void)
}))

const refusalOf = (error: unknown): string => error instanceof NameRefused ? error.reason : String(error)

export const lifecycleNamesSuite = (backend: SwarmBackend): void => {
  describe(`names (${backend.name})`, () => {
    swarmTest(
      backend,
      "a name is known to all from its publication until its scope closes, and then free",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const { seen } = yield* changesOf(at(members, 2))
          const held = yield* part
          yield* Scope.provide(at(members, 1).coordinator.publish("storage"), held.scope)
          yield* eventually(
            backend,
            () => members.every(({ coordinator }) => coordinator.resolve("storage")?.name === "m1")
          )
          const taken = yield* Effect.flip(Effect.scoped(at(members, 2).coordinator.publish("storage")))
          assert.strictEqual(refusalOf(taken), "taken")
          assert.match(taken.message, /^name "storage" is published already by member "m1" \(\d+\.\d+, pid \d+.*\)$/)
          yield* held.close
          yield* Effect.scoped(at(members, 2).coordinator.publish("storage"))
          yield* eventually(backend, () => seen.length === 4)
          assert.deepStrictEqual(
            seen.map((change) => "name" in change ? [`${change._tag}`, change.member.slot] : change),
            [1, 2].flatMap((
              i
            ) => [["NamePublished", at(members, i).id.slot], ["NameUnpublished", at(members, i).id.slot]])
          )
        })
    )

    swarmTest(
      backend,
      "names that are none, or the system's own, are refused, for groups too",
      (swarm) =>
        Effect.gen(function*() {
          const [member] = yield* joinAll(swarm, 1)
          const { coordinator } = member!
          for (const [name, reason] of [["", "empty"], ["ringfence/shutdown", "reserved"]] as const) {
            assert.strictEqual(refusalOf(yield* Effect.flip(Effect.scoped(coordinator.publish(name)))), reason)
            assert.strictEqual(refusalOf(yield* Effect.flip(Effect.scoped(coordinator.joinGroup(name)))), reason)
          }
          assert.strictEqual(refusalOf(yield* Effect.flip(Effect.scoped(coordinator.joinGroup("all")))), "reserved")
        })
    )

    swarmTest(
      backend,
      "a wait for a name ends when the name comes, or fails at its deadline",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const early = yield* fork(at(members, 0).coordinator.waitFor("storage"))
          const missing = yield* fork(at(members, 0).coordinator.waitFor("absent", { deadline: "100 millis" }))
          yield* at(members, 1).coordinator.publish("storage")
          assert.strictEqual((yield* joined(backend, early)).name, "m1")
          assert.strictEqual((yield* at(members, 0).coordinator.waitFor("storage")).name, "m1")
          const absent = yield* failedWith(backend, missing)
          assert.instanceOf(absent, NameMissing)
          assert.strictEqual(absent.message, "no member has published the name \"absent\" within 100.0 ms")
        })
    )

    swarmTest(
      backend,
      "the name of a dead member is free at once, also before its death was noticed",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          yield* at(members, 2).coordinator.publish("storage")
          yield* at(members, 2).kill
          yield* at(members, 1).coordinator.publish("storage")
          yield* eventually(backend, () => at(members, 0).coordinator.resolve("storage")?.name === "m1")
          assert.deepStrictEqual(namesOf(at(members, 0)), ["m0", "m1"])
        })
    )

    swarmTest(
      backend,
      "what a member held goes with it: names, groups, and its place in them",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          for (const { coordinator } of members) yield* coordinator.joinGroup("workers")
          yield* at(members, 1).coordinator.publish("a")
          yield* at(members, 2).coordinator.publish("b")
          yield* at(members, 1).close
          yield* at(members, 2).kill
          yield* eventually(backend, () => namesOf(at(members, 0)).length === 1)
          assert.deepStrictEqual(at(members, 0).coordinator.group("workers").map(({ name }) => name), ["m0"])
          for (const name of ["a", "b"]) assert.isUndefined(at(members, 0).coordinator.resolve(name))
          // A newcomer in the same place is in none of them.
          const next = yield* swarm.join("next")
          assert.deepStrictEqual(next.coordinator.group("workers").map(({ name }) => name), ["m0"])
        })
    )

    swarmTest(backend, "a group is left when the last fiber that is in it has left", (swarm) =>
      Effect.gen(function*() {
        const members = yield* joinAll(swarm, 2)
        const { coordinator } = at(members, 1)
        const [one, two] = [yield* part, yield* part]
        yield* Scope.provide(coordinator.joinGroup("workers"), one.scope)
        yield* Scope.provide(coordinator.joinGroup("workers"), two.scope)
        yield* one.close
        const { barrier } = at(members, 1)
        assert.strictEqual((yield* barrier.enter("meet", { group: "workers" }))._tag, "Satisfied")
        yield* two.close
        assert.strictEqual((yield* Effect.flip(barrier.enter("meet", { group: "workers" })))._tag, "ArrivalRefused")
      }))
  })

  describe(`keeping up (${backend.name})`, () => {
    swarmTest(
      backend,
      "B9 a member that is stopped is suspect and not dead; it goes on as if nothing had happened",
      (swarm) =>
        Effect.gen(function*() {
          const { go, over, stop } = stoppable()
          const members = yield* joinAll(swarm, 3, (index) => index === 1 ? { over } : { suspectAfter: 200 })
          const { seen } = yield* changesOf(at(members, 2))
          yield* stop
          const suspected = eventually(
            backend,
            () => [0, 2].every((i) => at(members, i).coordinator.suspects().map(({ name }) => name).join() === "m1")
          )
          const { millis } = yield* timed(backend, yield* fork(suspected))
          assert.isAtMost(millis, soon(backend, 500))
          assert.deepStrictEqual(namesOf(at(members, 0)), ["m0", "m1", "m2"])
          yield* go
          yield* eventually(backend, () => at(members, 2).coordinator.suspects().length === 0)
          yield* joined(backend, yield* fork(enterAll(members, "meet")))
          assert.deepStrictEqual(
            seen.map((change) => change._tag === "SuspectsChanged" ? change.suspects.map(({ name }) => name) : change),
            [["m1"], []]
          )
        })
    )

    swarmTest(
      backend,
      "B9 a member that was evicted from the coordinator's ring learns all that it missed",
      (swarm) =>
        Effect.gen(function*() {
          const { go, over, stop } = stoppable()
          const members = yield* joinAll(swarm, 4, (index) => index === 1 ? { over } : {})
          const { seen } = yield* changesOf(at(members, 1))
          yield* stop
          yield* at(members, 2).coordinator.joinGroup("workers")
          yield* at(members, 3).kill
          yield* eventually(backend, () => namesOf(at(members, 0)).length === 3)
          yield* joined(backend, yield* fork(chatter(at(members, 0), 400)))
          yield* at(members, 2).coordinator.publish("last")
          yield* go
          yield* eventually(backend, () => seen.some(({ _tag }) => _tag === "Resynced"))
          const { coordinator } = at(members, 1)
          assert.strictEqual(coordinator.resolve("last")?.name, "m2")
          assert.deepStrictEqual(namesOf(at(members, 1)), ["m0", "m1", "m2"])
          assert.deepStrictEqual(coordinator.group("workers").map(({ name }) => name), ["m2"])
          assert.strictEqual(coordinator.epoch(), at(members, 0).coordinator.epoch())
          yield* joined(backend, yield* fork(enterAll(members.slice(0, 3), "meet")))
        })
    )

    swarmTest(
      backend,
      "a membership that is larger than a frame reaches a joining member",
      (swarm) =>
        Effect.gen(function*() {
          const [first] = yield* joinAll(swarm, 1)
          const names = Array.from({ length: 200 }, (_, i) => `a name that makes the membership large, number ${i}`)
          yield* Effect.forEach(names, (name) => first!.coordinator.publish(name), { discard: true })
          const next = yield* joined(backend, yield* fork(swarm.join("next")))
          for (const name of names) assert.strictEqual(next.coordinator.resolve(name)?.name, "m0")
        })
    )
  })
}
