/**
 * Rounds: their members, merged arrivals, refusals and deadlines.
 */
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Messenger } from "../../../src/services/Messenger.ts"
import type { BarrierMode } from "../../../src/services/schema/BarrierArrival.ts"
import {
  at,
  enterAll,
  failedWith,
  fork,
  joinAll,
  joined,
  staysWaiting,
  type SwarmBackend,
  swarmTest,
  type TestMember
} from "../../backends/swarm.ts"
import { holding } from "../../faults/held.ts"
import { collect } from "../messenger/delivery.ts"
import { walkRounds } from "./rapidReuse.ts"

const Tick = Messenger.event("tick", Schema.Int)

/** Opens at the end too: a handler that waits would keep its member from leaving, and a failed assertion from being told. */
const opening = Effect.acquireRelease(Latch.make(false), (gate) => gate.open)

/** Both members are sure to have arrived by then, also where this process has to wait for a processor. */
const drainingMillis = 300

const modes: ReadonlyArray<BarrierMode> = ["rendezvous", "deliveryFence", "processingFence"]

/** Takes part in the group until it is closed. */
const inGroup = Effect.fnUntraced(function*(member: TestMember, group: string) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  yield* member.coordinator.joinGroup(group).pipe(Scope.provide(scope))
  return Scope.close(scope, Exit.void)
})

export const barrierRoundsSuite = (backend: SwarmBackend): void => {
  describe(`barrier rounds (${backend.name})`, () => {
    for (const mode of modes) {
      swarmTest(backend, `no member is released before all have arrived (${mode})`, (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 4)
          const early = yield* fork(enterAll(members.slice(0, 3), "b", { mode }))
          yield* staysWaiting(backend, early)
          const late = yield* at(members, 3).barrier.enter("b", { mode })
          const results = [...yield* joined(backend, early), late]
          assert.deepStrictEqual(new Set(results.map(({ _tag, mode, round }) => `${_tag} ${mode} ${round}`)).size, 1)
        }))
    }

    swarmTest(
      backend,
      "S14 rapid reuse: the returned round ids strictly increase per name, and all see the same",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const walk = ({ barrier }: TestMember, index: number) =>
            walkRounds(barrier, { iterations: 102, index }, Effect.yieldNow)
          const [first, ...rest] = yield* Effect.forEach(members, walk, { concurrency: "unbounded" })
          for (const other of rest) assert.deepStrictEqual(other, first)
        })
    )

    swarmTest(
      backend,
      "S16 mode mismatch: a typed error for the member that caused it, the others go on",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const early = yield* fork(enterAll(members.slice(0, 2), "b", { mode: "processingFence" }))
          yield* staysWaiting(backend, early)
          const error = yield* Effect.flip(at(members, 2).barrier.enter("b", { mode: "rendezvous" }))
          assert.deepInclude(error, {
            _tag: "ModeMismatch",
            barrier: "b",
            asked: "rendezvous",
            round: "processingFence"
          })
          yield* staysWaiting(backend, early)
          yield* at(members, 2).barrier.enter("b", { mode: "processingFence" })
          const results = yield* joined(backend, early)
          assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied"])
        })
    )

    swarmTest(
      backend,
      "S16 a second fiber of the same process with another mode is refused alone",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const early = yield* fork(at(members, 1).barrier.enter("b", { mode: "rendezvous" }))
          const error = yield* Effect.flip(at(members, 1).barrier.enter("b", { mode: "deliveryFence" }))
          assert.strictEqual(error._tag, "ModeMismatch")
          yield* at(members, 0).barrier.enter("b", { mode: "rendezvous" })
          assert.strictEqual((yield* joined(backend, early))._tag, "Satisfied")
        })
    )

    swarmTest(
      backend,
      "S16 reserved and empty names, and a group without the caller, are refused with typed errors",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          yield* Effect.asVoid(inGroup(at(members, 0), "strings"))
          const { barrier } = at(members, 1)
          const reasons = yield* Effect.forEach(
            [barrier.enter("ringfence/x"), barrier.enter(""), barrier.enter("b", { group: "strings" })],
            (entering) =>
              Effect.map(Effect.flip(entering), (error) => error._tag === "ArrivalRefused" ? error.reason : error._tag)
          )
          assert.deepStrictEqual(reasons, ["reserved", "empty", "notInGroup"])
        })
    )

    swarmTest(
      backend,
      "a group's barrier concerns its members only, dynamic ones too",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 4)
          for (const member of members.slice(1, 3)) yield* Effect.asVoid(inGroup(member, "strings"))
          const results = yield* enterAll(members.slice(1, 3), "b", { group: "strings" })
          assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied"])
          const leaves = yield* inGroup(at(members, 3), "strings")
          const three = yield* fork(enterAll(members.slice(1, 3), "b", { group: "strings" }))
          yield* staysWaiting(backend, three)
          yield* leaves
          const degraded = yield* joined(backend, three)
          assert.deepStrictEqual(
            degraded.map((result) => result._tag === "Degraded" ? result.departed : []),
            [[at(members, 3).id], [at(members, 3).id]]
          )
        })
    )

    swarmTest(
      backend,
      "B4 two fibers in one round merge into one arrival, with the targets of both",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const [one, two] = [at(members, 0), at(members, 1)]
          const got = yield* collect(one, Tick)
          const first = yield* fork(two.barrier.enter("b"))
          yield* backend.elapse(5)
          for (let value = 0; value < 10; value += 1) yield* two.messenger.send(Tick, value)
          const second = yield* fork(two.barrier.enter("b"))
          yield* staysWaiting(backend, first)
          const before = two.swarmMember.mesh.target()
          const result = yield* one.barrier.enter("b")
          assert.deepStrictEqual(got.length, 10)
          const target = result.targets.find(({ ring }) => ring === before.ring)
          assert.deepStrictEqual(target, before)
          const rounds = [yield* joined(backend, first), yield* joined(backend, second)].map(({ round }) => round)
          assert.deepStrictEqual(rounds, [result.round, result.round])
        })
    )

    swarmTest(
      backend,
      "B4 a fiber that comes while the round drains joins it, and its targets are honoured",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const [one, two] = [at(members, 0), at(members, 1)]
          const gate = yield* Latch.make(false)
          const begun = yield* Deferred.make<void>()
          const got: Array<number> = []
          yield* one.messenger.subscribe(Tick, (value) => {
            got.push(value)
            return Effect.andThen(Deferred.succeed(begun, undefined), gate.await)
          })
          for (const value of [1, 2]) yield* two.messenger.send(Tick, value)
          yield* Deferred.await(begun)
          // The round has all its arrivals and drains, held up by the first handler.
          const draining = yield* fork(enterAll(members, "b"))
          yield* staysWaiting(backend, draining)
          for (const value of [3, 4]) yield* two.messenger.send(Tick, value)
          const late = yield* fork(two.barrier.enter("b"))
          yield* staysWaiting(backend, late)
          yield* gate.open
          const [first] = yield* joined(backend, draining)
          assert.deepStrictEqual(got, [1, 2, 3, 4])
          assert.strictEqual((yield* joined(backend, late)).round, first?.round)
        })
    )

    swarmTest(
      backend,
      "B4 a fiber that comes after the release is in the next round",
      (swarm) =>
        Effect.gen(function*() {
          const hold = { held: false }
          const members = yield* joinAll(swarm, 2, (index) =>
            index === 1
              ? { over: holding((name) => name === "coordinator", hold) }
              : {})
          const [one, two] = [at(members, 0), at(members, 1)]
          hold.held = true
          const first = yield* fork(two.barrier.enter("b"))
          const { round } = yield* one.barrier.enter("b")
          // The release is sent, but not read yet.
          const late = yield* fork(two.barrier.enter("b"))
          yield* staysWaiting(backend, late)
          hold.held = false
          yield* backend.elapse(300)
          assert.strictEqual((yield* joined(backend, first)).round, round)
          yield* staysWaiting(backend, late)
          const next = yield* one.barrier.enter("b")
          assert.isAbove(next.round, round)
          assert.strictEqual((yield* joined(backend, late)).round, next.round)
        })
    )

    swarmTest(
      backend,
      "B4 a member of whose two fibers one is interrupted stays in the round with the other",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const first = yield* fork(at(members, 1).barrier.enter("b"))
          const second = yield* fork(at(members, 1).barrier.enter("b"))
          yield* backend.elapse(5)
          yield* Fiber.interrupt(first)
          assert.strictEqual((yield* at(members, 0).barrier.enter("b"))._tag, "Satisfied")
          assert.strictEqual((yield* joined(backend, second))._tag, "Satisfied")
        })
    )

    swarmTest(
      backend,
      "a fiber that is interrupted takes its arrival back, and arrives anew as if it had never been",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const first = yield* fork(at(members, 1).barrier.enter("b"))
          yield* backend.elapse(5)
          yield* Fiber.interrupt(first)
          const waiting = yield* fork(at(members, 0).barrier.enter("b"))
          yield* staysWaiting(backend, waiting)
          yield* at(members, 1).barrier.enter("b")
          assert.strictEqual((yield* joined(backend, waiting))._tag, "Satisfied")
        })
    )

    swarmTest(
      backend,
      "B8 a deadline names the absent, and the member that gave up does not count as arrived",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 4)
          const waiting = yield* fork(at(members, 0).barrier.enter("b"))
          const error = yield* failedWith(backend, yield* fork(at(members, 1).barrier.enter("b", { deadline: 30 })))
          if (error._tag !== "BarrierTimedOut") return assert.fail(error._tag)
          assert.deepStrictEqual([...error.absent], [at(members, 2).id, at(members, 3).id])
          assert.isFalse(error.undecided)
          assert.match(
            error.message,
            /^barrier "b" timed out after 30\.0 ms without "[^"]+" \(\d+\.\d+, pid \d+.*\), "[^"]+" \(\d+\.\d+, pid \d+.*\)$/
          )
          const others = yield* fork(enterAll(members.slice(2), "b"))
          yield* staysWaiting(backend, waiting)
          yield* at(members, 1).barrier.enter("b")
          yield* joined(backend, others)
          assert.strictEqual((yield* joined(backend, waiting))._tag, "Satisfied")
        })
    )

    swarmTest(
      backend,
      "B8 two fibers of one process whose deadlines pass at the same moment leave no arrival behind",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const enter = at(members, 1).barrier.enter("b", { deadline: 20 })
          const both = [yield* fork(enter), yield* fork(enter)]
          for (const fiber of both) assert.strictEqual((yield* failedWith(backend, fiber))._tag, "BarrierTimedOut")
          const waiting = yield* fork(at(members, 0).barrier.enter("b"))
          yield* staysWaiting(backend, waiting)
          yield* at(members, 1).barrier.enter("b")
          assert.strictEqual((yield* joined(backend, waiting))._tag, "Satisfied")
        })
    )

    swarmTest(
      backend,
      "B8 one fiber gives up, the other of its process stays, and counts",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const stays = yield* fork(at(members, 1).barrier.enter("b"))
          const gives = yield* fork(at(members, 1).barrier.enter("b", { deadline: 20 }))
          const error = yield* failedWith(backend, gives)
          if (error._tag !== "BarrierTimedOut") return assert.fail(error._tag)
          assert.deepStrictEqual([...error.absent], [at(members, 0).id])
          assert.strictEqual((yield* at(members, 0).barrier.enter("b"))._tag, "Satisfied")
          assert.strictEqual((yield* joined(backend, stays))._tag, "Satisfied")
        })
    )

    swarmTest(
      backend,
      "B8 a fiber that comes while its process gives up arrives anew, and its deadline holds",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const { barrier } = at(members, 1)
          // The first fiber withdraws, and the second enters before the answer.
          const gives = yield* fork(barrier.enter("b", { deadline: 10 }))
          at(members, 1).swarmMember.arrivals.tick(Number.MAX_SAFE_INTEGER)
          const comes = yield* fork(barrier.enter("b", { deadline: 30 }))
          assert.strictEqual((yield* failedWith(backend, gives))._tag, "BarrierTimedOut")
          assert.strictEqual((yield* failedWith(backend, comes))._tag, "BarrierTimedOut")
          const waiting = yield* fork(at(members, 0).barrier.enter("b"))
          yield* staysWaiting(backend, waiting)
          yield* barrier.enter("b")
          yield* joined(backend, waiting)
        })
    )

    swarmTest(
      backend,
      "B8 a deadline that passes while streams drain names the streams, and degrades the others' round",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const [one, two] = [at(members, 0), at(members, 1)]
          const gate = yield* opening
          const begun = yield* Deferred.make<void>()
          yield* two.messenger.subscribe(Tick, () => Effect.andThen(Deferred.succeed(begun, undefined), gate.await))
          yield* one.messenger.send(Tick, 1)
          yield* Deferred.await(begun)
          const mode = "processingFence"
          const patient = yield* fork(one.barrier.enter("b", { mode }))
          const error = yield* failedWith(
            backend,
            yield* fork(two.barrier.enter("b", { mode, deadline: drainingMillis }))
          )
          if (error._tag !== "BarrierTimedOut") return assert.fail(error._tag)
          assert.deepStrictEqual([...error.absent], [])
          const result = yield* joined(backend, patient)
          if (result._tag !== "Degraded") return assert.fail(result._tag)
          assert.deepStrictEqual(result.withdrawn, [two.id])
          yield* gate.open
        })
    )

    swarmTest(
      backend,
      "a delivery fence that is not through at its deadline says which streams are not",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const [one, two] = [at(members, 0), at(members, 1)]
          const gate = yield* opening
          yield* two.messenger.subscribe(Tick, () => gate.await)
          for (const value of [1, 2]) yield* one.messenger.send(Tick, value)
          const other = yield* fork(one.barrier.enter("b"))
          const entered = yield* fork(two.barrier.enter("b", { deadline: drainingMillis }))
          const error = yield* failedWith(backend, entered)
          if (error._tag !== "BarrierTimedOut") return assert.fail(error._tag)
          assert.deepStrictEqual(error.undrained.map(({ ring }) => ring), [one.swarmMember.mesh.target().ring])
          assert.strictEqual((yield* joined(backend, other))._tag, "Satisfied")
          yield* gate.open
        })
    )

    swarmTest(
      backend,
      "arrivals whose name is longer than a frame meet as any other",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const name = "a long name ".repeat(500)
          const meeting = yield* fork(enterAll([...members, at(members, 1)], name, { deadline: 2000 }))
          const results = yield* joined(backend, meeting)
          assert.deepStrictEqual(results.map(({ round }) => round), [1, 1, 1])
        })
    )

    swarmTest(
      backend,
      "a member that joins while a round is open belongs to the next one",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const open = yield* fork(at(members, 0).barrier.enter("b"))
          yield* backend.elapse(5)
          const joiner = yield* swarm.join("joiner")
          const next = yield* fork(joiner.barrier.enter("b"))
          yield* staysWaiting(backend, open)
          const { round } = yield* at(members, 1).barrier.enter("b")
          assert.strictEqual((yield* joined(backend, open)).round, round)
          yield* staysWaiting(backend, next)
          const results = yield* enterAll(members, "b")
          assert.strictEqual((yield* joined(backend, next)).round, at(results, 0).round)
          assert.isAbove(at(results, 0).round, round)
        })
    )

    swarmTest(
      backend,
      "a deadline of zero is a deadline, and an infinite one is none",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const now = yield* fork(at(members, 0).barrier.enter("b", { deadline: 0 }))
          assert.strictEqual((yield* failedWith(backend, now))._tag, "BarrierTimedOut")
          const ever = yield* fork(at(members, 0).barrier.enter("b", { deadline: "Infinity" }))
          yield* staysWaiting(backend, ever)
          yield* at(members, 1).barrier.enter("b", { deadline: "Infinity" })
          yield* joined(backend, ever)
        })
    )
  })
}
