/**
 * Leaving alone, and together.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { LeaveRefused, type MemberEvent } from "../../../src/services/Coordinator.ts"
import { Messenger } from "../../../src/services/Messenger.ts"
import { ShuttingDown } from "../../../src/services/schema/Member.ts"
import {
  at,
  enterAll,
  eventually,
  fork,
  joinAll,
  joined,
  staysWaiting,
  type SwarmBackend,
  swarmTest,
  type TestMember
} from "../../backends/swarm.ts"
import { soon, timed } from "./times.ts"

const Tick = Messenger.event("tick", Schema.Int)

/** The changes that a member sees from now on. */
export const changesOf = Effect.fnUntraced(function*({ coordinator }: TestMember) {
  const seen: Array<MemberEvent> = []
  const fiber = yield* fork(
    Stream.runForEach(coordinator.changes, (change) => Effect.sync(() => void seen.push(change)))
  )
  return { seen, fiber }
})

export const namesOf = ({ coordinator }: TestMember): ReadonlyArray<string> =>
  coordinator.members().map(({ name }) => name)

export const lifecycleLeavingSuite = (backend: SwarmBackend): void => {
  describe(`leaving (${backend.name})`, () => {
    swarmTest(
      backend,
      "no member waits for a member that leaves: the others are told, and open rounds go on without it",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const { seen } = yield* changesOf(at(members, 1))
          const meeting = yield* Effect.forEach(members.slice(0, 2), ({ barrier }) => fork(barrier.enter("meet")))
          for (const fiber of meeting) yield* staysWaiting(backend, fiber)
          for (const fiber of meeting) yield* staysWaiting(backend, fiber)
          yield* at(members, 2).coordinator.leave
          for (const fiber of meeting) {
            const result = yield* joined(backend, fiber)
            assert.isTrue(result._tag === "Degraded" && result.departed[0]?.slot === at(members, 2).id.slot)
          }
          yield* eventually(backend, () => seen.length > 0)
          assert.deepStrictEqual(
            seen.map((change) =>
              change._tag === "Departed" ? [change.member.name, change.reason, change.epoch] : change
            ),
            [["m2", "left", 4]]
          )
          assert.deepStrictEqual(namesOf(at(members, 1)), ["m0", "m1"])
        })
    )

    swarmTest(
      backend,
      "a member that has left begins nothing new, and its changes end",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const gone = at(members, 1)
          const { fiber } = yield* changesOf(gone)
          yield* gone.coordinator.leave
          yield* joined(backend, fiber)
          yield* gone.coordinator.leave
          yield* gone.coordinator.shutdown
          const attempts = [
            gone.barrier.enter("meet"),
            gone.messenger.send(Tick, 1),
            Effect.scoped(gone.coordinator.publish("name")),
            Effect.scoped(gone.coordinator.joinGroup("group"))
          ].map((attempt): Effect.Effect<unknown, unknown> => attempt)
          for (const attempt of attempts) assert.instanceOf(yield* Effect.flip(attempt), ShuttingDown)
        })
    )

    swarmTest(backend, "what a member sent before it left is delivered", (swarm) =>
      Effect.gen(function*() {
        const members = yield* joinAll(swarm, 2)
        const heard: Array<number> = []
        yield* at(members, 0).messenger.subscribe(Tick, (value) => Effect.sync(() => void heard.push(value)))
        for (let i = 0; i < 100; i += 1) yield* at(members, 1).messenger.send(Tick, i)
        yield* at(members, 1).close
        yield* eventually(backend, () => heard.length === 100)
      }))

    swarmTest(backend, "a process that has left may join again, in the same place", (swarm) =>
      Effect.gen(function*() {
        const members = yield* joinAll(swarm, 1)
        for (let i = 0; i < 3; i += 1) {
          const guest = yield* swarm.join("guest")
          yield* enterAll([at(members, 0), guest], "meet")
          yield* guest.close
          yield* eventually(backend, () => at(members, 0).coordinator.members().length === 1)
        }
      }))

    swarmTest(backend, "the end of a member's scope is a departure", (swarm) =>
      Effect.gen(function*() {
        const members = yield* joinAll(swarm, 2)
        const { seen } = yield* changesOf(at(members, 0))
        yield* at(members, 1).close
        yield* eventually(backend, () => seen.length > 0)
        assert.deepStrictEqual(seen.map((change) => change._tag === "Departed" ? change.reason : change._tag), ["left"])
      }))

    swarmTest(
      backend,
      "the coordinator may not leave its members alone, and goes on",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          assert.instanceOf(yield* Effect.flip(at(members, 0).coordinator.leave), LeaveRefused)
          yield* enterAll(members, "meet")
          yield* at(members, 1).coordinator.leave
          yield* at(members, 0).coordinator.leave
          assert.isFalse(at(members, 0).coordinator.coordinates())
        })
    )
  })

  describe(`shutting down (${backend.name})`, () => {
    const shutDown = (members: ReadonlyArray<TestMember>) =>
      Effect.forEach(members, ({ coordinator }) => coordinator.shutdown, { concurrency: "unbounded", discard: true })

    swarmTest(
      backend,
      "shutdown returns when all have called it, after the coordinator's hook, which ran once",
      (swarm) =>
        Effect.gen(function*() {
          const gate = yield* Latch.make(false)
          let ran = 0
          const shutdownHook = Effect.andThen(Effect.sync(() => void ran++), gate.await)
          const members = yield* joinAll(swarm, 3, (i) => i === 0 ? { shutdownHook } : {})
          const first = yield* Effect.forEach(members.slice(0, 2), ({ coordinator }) => fork(coordinator.shutdown))
          for (const fiber of first) yield* staysWaiting(backend, fiber)
          assert.strictEqual(ran, 0)
          const last = yield* fork(at(members, 2).coordinator.shutdown)
          yield* staysWaiting(backend, last)
          assert.strictEqual(ran, 1)
          yield* gate.open
          for (const fiber of [...first, last]) yield* joined(backend, fiber)
          assert.strictEqual(ran, 1)
        })
    )

    swarmTest(backend, "several fibers of one member may call it", (swarm) =>
      Effect.gen(function*() {
        const members = yield* joinAll(swarm, 2)
        const twice = yield* Effect.forEach([0, 0, 1], (i) => fork(at(members, i).coordinator.shutdown))
        for (const fiber of twice) yield* joined(backend, fiber)
      }))

    swarmTest(
      backend,
      "a hook that dies: all have ended, and the coordinator's own call says why",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(
            swarm,
            3,
            (i) => i === 0 ? { shutdownHook: Effect.die("no room on the disk") } : {}
          )
          const fibers = yield* Effect.forEach(members, ({ coordinator }) => fork(coordinator.shutdown))
          yield* eventually(backend, () => fibers.every((fiber) => fiber.pollUnsafe() !== undefined))
          const [own, ...others] = yield* Effect.forEach(fibers, Fiber.await)
          assert.isTrue(Exit.isFailure(own as Exit.Exit<void>))
          assert.include(String(own), "no room on the disk")
          for (const exit of others) assert.isTrue(Exit.isSuccess(exit))
        })
    )

    swarmTest(
      backend,
      "B2 a member that dies while the others shut down is not waited for",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 4)
          const fibers = yield* Effect.forEach(members.slice(0, 2), ({ coordinator }) => fork(coordinator.shutdown))
          // One member dies before it calls shutdown, another after.
          const dying = yield* fork(at(members, 2).coordinator.shutdown)
          for (const fiber of [...fibers, dying]) yield* staysWaiting(backend, fiber)
          yield* at(members, 2).kill
          yield* at(members, 3).kill
          for (const fiber of fibers) {
            const { millis } = yield* timed(backend, fiber)
            assert.isAtMost(millis, soon(backend, 250))
          }
        })
    )

    swarmTest(
      backend,
      "S18 rounds do not wait for a member that is ready to shut down",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const early = yield* fork(at(members, 1).coordinator.shutdown)
          yield* staysWaiting(backend, early)
          const rest = [at(members, 0), at(members, 2)]
          const results = yield* enterAll(rest, "meet", { mode: "processingFence" })
          assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied"])
          yield* joined(backend, yield* fork(shutDown(rest)))
          yield* joined(backend, early)
        })
    )

    swarmTest(
      backend,
      "a member that shuts down and then gives up leaves, and the others shut down without it",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const given = yield* fork(at(members, 2).coordinator.shutdown)
          yield* staysWaiting(backend, given)
          yield* Fiber.interrupt(given)
          yield* at(members, 2).close
          yield* eventually(backend, () => namesOf(at(members, 0)).length === 2)
          yield* joined(backend, yield* fork(shutDown(members.slice(0, 2))))
        })
    )
  })
}
