/**
 * The end of the coordinator: with a standby and without, by leaving and by death.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Swarm from "../../../src/layers/Swarm.ts"
import { Coordinator, type MemberEvent } from "../../../src/services/Coordinator.ts"
import { Messenger } from "../../../src/services/Messenger.ts"
import { CoordinatorLost, showMember } from "../../../src/services/schema/Member.ts"
import {
  at,
  enterAll,
  eventually,
  failedWith,
  fork,
  joinAll,
  joined,
  type JoinOptions,
  staysWaiting,
  type SwarmBackend,
  swarmTest,
  type TestMember
} from "../../backends/swarm.ts"
import { stoppable } from "../../faults/stoppable.ts"
import { changesOf, namesOf } from "./leaving.ts"
import { soon, timed } from "./times.ts"

const Tick = Messenger.event("tick", Schema.Int)

/** The options of a coordinator, that many standbys, and a member. */
const withStandbys = (count: number) => (index: number) => ({ standby: index > 0 && index <= count })

const lostReason = (error: unknown): string => error instanceof CoordinatorLost ? error.reason : String(error)

const coordinators = (members: ReadonlyArray<TestMember>): ReadonlyArray<string> =>
  members.filter(({ coordinator }) => coordinator.coordinates()).map(({ name }) => name)

/** All know the same members and the same coordinator. */
export const agree = (backend: SwarmBackend, members: ReadonlyArray<TestMember>) =>
  eventually(
    backend,
    () =>
      coordinators(members).length === 1
      && members.every((member) => namesOf(member).join() === members.map(({ name }) => name).join()),
    "they never agreed"
  )

/** The changes about coordinators and members, without names and groups. */
const tags = (seen: ReadonlyArray<MemberEvent>): ReadonlyArray<string> =>
  seen.map(({ _tag }) => _tag).filter((tag) => tag.startsWith("Coordinator") || tag === "Departed")

export const lifecycleFailoverSuite = (backend: SwarmBackend): void => {
  describe(`the coordinator dies without a standby (${backend.name})`, () => {
    swarmTest(
      backend,
      "everything that a member waits for ends, with CoordinatorLost, within 250 ms",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const { barrier, coordinator } = at(members, 1)
          const { fiber: changes, seen } = yield* changesOf(at(members, 1))
          const waiting: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
            barrier.enter("meet"),
            coordinator.waitFor("absent"),
            coordinator.awaitMembers(({ length }) => length > 9),
            coordinator.lost,
            at(members, 2).coordinator.shutdown
          ]
          const fibers = yield* Effect.forEach(waiting, (effect) => fork(Effect.flip(effect)))
          for (const fiber of fibers) yield* staysWaiting(backend, fiber)
          yield* at(members, 0).kill
          for (const fiber of fibers) {
            const { millis, value } = yield* timed(backend, fiber)
            assert.strictEqual(lostReason(value), "died")
            assert.isAtMost(millis, soon(backend, 250))
          }
          yield* joined(backend, changes)
          assert.deepStrictEqual(tags(seen), ["CoordinatorGone"])
          // Later ones do not wait at all.
          assert.strictEqual(lostReason(yield* Effect.flip(barrier.enter("meet"))), "died")
          assert.strictEqual(lostReason(yield* Effect.flip(Effect.scoped(coordinator.publish("name")))), "died")
        })
    )

    swarmTest(
      backend,
      "a member that only waits logs the loss once, and names its coordinator and itself; a member that left does not",
      (swarm) =>
        Effect.gen(function*() {
          const warned: Array<string> = []
          const logger = Logger.make(({ logLevel, message }) => {
            if (logLevel === "Warn") warned.push(`${message}`)
          })
          const heard: Array<string> = []
          const options: ReadonlyArray<JoinOptions> = [{}, {}, {
            onLost: ({ message }) => Effect.sync(() => void heard.push(message))
          }, {}]
          const members = yield* joinAll(swarm, 4, (index) => options[index] ?? {}).pipe(
            Effect.provide(Logger.layer([logger]))
          )
          yield* at(members, 3).coordinator.leave
          const [first, waiting] = [at(members, 0), at(members, 1)]
          yield* first.kill
          yield* eventually(backend, () => warned.some((text) => text.includes(`Member "m1"`)) && heard.length > 0)
          yield* backend.elapse(500)
          const dead = `the coordinator "m0" (${
            showMember(first.id)
          }, pid ${process.pid}) is dead and no standby takes over`
          assert.deepStrictEqual(heard, [dead])
          // Ignore the log of the member killed in this process.
          const [warning, ...others] = warned.filter((text) => !text.includes(`Member "m0"`))
          assert.deepStrictEqual(others, [])
          assert.include(warning, `${dead}: the swarm of region`)
          assert.include(warning, `Member "m1" (${showMember(waiting.id)}, pid ${process.pid}) still runs`)
        })
    )

    swarmTest(
      backend,
      "a program that is run by Swarm.run is interrupted wherever it waits, and fails with CoordinatorLost",
      (swarm) =>
        Effect.gen(function*() {
          const [first, second] = yield* joinAll(swarm, 2)
          let interrupted = 0
          const program = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted += 1)))
          const runs = Swarm.run(program).pipe(
            Effect.provideService(Coordinator, (second as TestMember).coordinator)
          )
          const running = yield* fork(runs)
          yield* staysWaiting(backend, running)
          yield* (first as TestMember).kill
          assert.strictEqual(lostReason(yield* failedWith(backend, running)), "died")
          assert.strictEqual(interrupted, 1)
        })
    )

    swarmTest(
      backend,
      "a round that was released before the coordinator died is satisfied for those who hear of it later",
      (swarm) =>
        Effect.gen(function*() {
          const { go, over, stop } = stoppable()
          const members = yield* joinAll(swarm, 2, (index) => index === 1 ? { over } : {})
          const late = yield* fork(at(members, 1).barrier.enter("meet"))
          yield* stop
          yield* at(members, 0).barrier.enter("meet")
          yield* at(members, 0).kill
          yield* backend.elapse(20)
          yield* go
          assert.strictEqual((yield* joined(backend, late))._tag, "Satisfied")
        })
    )

    swarmTest(
      backend,
      "when the only standby dies with it no member waits for a successor",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3, withStandbys(1))
          const waiting = yield* fork(at(members, 2).barrier.enter("meet"))
          yield* at(members, 1).kill
          yield* at(members, 0).kill
          const { millis, value } = yield* timed(backend, yield* fork(failedWith(backend, waiting)))
          assert.strictEqual(lostReason(value), "died")
          assert.isAtMost(millis, soon(backend, 250))
        })
    )

    swarmTest(
      backend,
      "a standby that is stopped is waited for as long as was said, and not longer",
      (swarm) =>
        Effect.gen(function*() {
          const { over, stop } = stoppable()
          const members = yield* joinAll(
            swarm,
            3,
            (index) => index === 1 ? { over, standby: true } : { failover: 600 }
          )
          yield* stop
          const waiting = yield* fork(at(members, 2).barrier.enter("meet"))
          yield* at(members, 0).kill
          const { millis, value } = yield* timed(backend, yield* fork(failedWith(backend, waiting)))
          assert.strictEqual(lostReason(value), "died")
          assert.isAtLeast(millis, 600)
          assert.isAtMost(millis, soon(backend, 850))
        })
    )
  })

  describe(`a standby takes over (${backend.name})`, () => {
    swarmTest(
      backend,
      "from a coordinator that is killed: members, names and groups go on, and newcomers come in",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 4, withStandbys(1))
          const rest = members.slice(1)
          yield* at(members, 3).coordinator.publish("worker")
          for (const { coordinator } of rest) yield* coordinator.joinGroup("rest")
          const { seen } = yield* changesOf(at(members, 2))
          yield* at(members, 0).kill
          yield* agree(backend, rest)
          assert.deepStrictEqual(coordinators(rest), ["m1"])
          assert.deepStrictEqual(tags(seen), ["CoordinatorGone", "CoordinatorChanged", "Departed"])
          const newcomer = yield* joined(backend, yield* fork(swarm.join("newcomer")))
          const all = [...rest, newcomer]
          for (const member of all) {
            assert.strictEqual(member.coordinator.resolve("worker")?.name, "m3")
            assert.deepStrictEqual(member.coordinator.group("rest").map(({ name }) => name), ["m1", "m2", "m3"])
          }
          const heard: Array<number> = []
          yield* newcomer.messenger.subscribe(Tick, (value) => Effect.sync(() => void heard.push(value)))
          yield* at(rest, 1).messenger.send(Tick, 7)
          for (const mode of ["rendezvous", "deliveryFence", "processingFence"] as const) {
            const results = yield* joined(backend, yield* fork(enterAll(all, "meet", { mode })))
            assert.deepStrictEqual(results.map(({ _tag }) => _tag), all.map(() => "Satisfied"))
          }
          assert.deepStrictEqual(heard, [7])
        })
    )

    for (const standbys of [0, 1]) {
      const reason = standbys === 0 ? "died" : "replaced"
      const how = standbys === 0 ? "without a standby" : "with a standby"
      swarmTest(
        backend,
        `a round in its first phase ends with CoordinatorLost, ${how}`,
        (swarm) =>
          Effect.gen(function*() {
            const members = yield* joinAll(swarm, 3, withStandbys(standbys))
            const waiting = yield* fork(at(members, 1).barrier.enter("meet"))
            yield* staysWaiting(backend, waiting)
            yield* at(members, 0).kill
            assert.strictEqual(lostReason(yield* failedWith(backend, waiting)), reason)
            if (standbys === 0) return
            // Who has not heard of the successor yet is told to ask again.
            yield* agree(backend, members.slice(1))
            yield* joined(backend, yield* fork(enterAll(members.slice(1), "meet")))
          })
      )

      swarmTest(
        backend,
        `a round in its second phase ends with CoordinatorLost, ${how}`,
        (swarm) =>
          Effect.gen(function*() {
            const members = yield* joinAll(swarm, 3, withStandbys(standbys))
            const gate = yield* Latch.make(false)
            yield* at(members, 0).messenger.subscribe(Tick, () => gate.await)
            yield* Effect.addFinalizer(() => gate.open)
            for (const value of [1, 2]) yield* at(members, 1).messenger.send(Tick, value)
            const waiting = yield* Effect.forEach(members, ({ barrier }) => fork(barrier.enter("meet")))
            for (const fiber of waiting) yield* staysWaiting(backend, fiber)
            yield* at(members, 0).kill
            for (const fiber of waiting.slice(1)) {
              assert.strictEqual(lostReason(yield* failedWith(backend, fiber)), reason)
            }
            if (standbys === 0) return
            // Who has not heard of the successor yet is told to ask again.
            yield* agree(backend, members.slice(1))
            yield* joined(backend, yield* fork(enterAll(members.slice(1), "meet")))
          })
      )
    }

    swarmTest(
      backend,
      "term and round name a round alike in all members, and no second one after a takeover",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3, withStandbys(1))
          const numbered = Effect.fnUntraced(function*(those: ReadonlyArray<TestMember>) {
            const results = yield* joined(backend, yield* fork(enterAll(those, "meet")))
            const [first, ...others] = results.map(({ round, term }) => ({ round, term }))
            for (const other of others) assert.deepStrictEqual(other, first)
            return first!
          })
          const before = yield* numbered(members)
          yield* at(members, 0).kill
          yield* agree(backend, members.slice(1))
          const after = yield* numbered(members.slice(1))
          assert.strictEqual(after.round, before.round)
          assert.isAbove(after.term, before.term)
        })
    )

    swarmTest(
      backend,
      "of two standbys exactly one takes over, and the other one after it",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 4, withStandbys(2))
          yield* at(members, 0).kill
          yield* agree(backend, members.slice(1))
          const second = members.slice(1).find(({ coordinator }) => coordinator.coordinates())!
          yield* second.kill
          const rest = members.slice(1).filter((member) => member !== second)
          yield* agree(backend, rest)
          yield* joined(backend, yield* fork(enterAll(rest, "meet")))
          const third = rest.find(({ coordinator }) => coordinator.coordinates())!
          assert.notStrictEqual(third.name, "m3")
          // No standby is left to take over.
          const last = rest.find((member) => member !== third)!
          yield* third.kill
          assert.strictEqual(lostReason(yield* failedWith(backend, yield* fork(last.coordinator.lost))), "died")
        })
    )

    swarmTest(
      backend,
      "from a coordinator that leaves in good order, before that one is gone",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3, withStandbys(1))
          const rest = members.slice(1)
          const { seen } = yield* changesOf(at(members, 2))
          const { millis } = yield* timed(backend, yield* fork(at(members, 0).coordinator.leave))
          assert.isAtMost(millis, soon(backend, 100))
          yield* agree(backend, rest)
          assert.deepStrictEqual(
            tags(seen),
            ["Departed", "CoordinatorGone", "CoordinatorChanged"].filter((tag) => tags(seen).includes(tag))
          )
          assert.include(tags(seen), "CoordinatorChanged")
          assert.isFalse(at(members, 0).coordinator.coordinates())
          yield* joined(backend, yield* fork(enterAll(rest, "meet")))
          yield* joined(backend, yield* fork(Effect.asVoid(swarm.join("newcomer"))))
        })
    )

    swarmTest(
      backend,
      "a coordinator that leaves and comes back is a member like all others",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2, withStandbys(1))
          yield* at(members, 0).close
          yield* agree(backend, members.slice(1))
          const again = yield* joined(backend, yield* fork(swarm.join("m0", { standby: true })))
          yield* agree(backend, [at(members, 1), again])
          yield* joined(backend, yield* fork(enterAll([at(members, 1), again], "meet")))
          yield* at(members, 1).coordinator.leave
          yield* eventually(backend, () => again.coordinator.coordinates())
        })
    )

    swarmTest(
      backend,
      "a standby that has left does not count, and a lone coordinator may leave",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3, withStandbys(1))
          yield* at(members, 1).coordinator.leave
          const refused = yield* Effect.flip(at(members, 0).coordinator.leave)
          assert.strictEqual(refused._tag, "LeaveRefused")
        })
    )

    swarmTest(backend, "a candidate that was joining is admitted by the successor", (swarm) =>
      Effect.gen(function*() {
        const { go, over, stop } = stoppable()
        const members = yield* joinAll(swarm, 3, (index) => index === 2 ? { over } : { standby: index === 1 })
        // Its admission is held up by a member that does not attach.
        yield* stop
        const joining = yield* fork(swarm.join("newcomer"))
        yield* staysWaiting(backend, joining, 60)
        yield* at(members, 0).kill
        yield* eventually(backend, () => at(members, 1).coordinator.coordinates())
        yield* go
        const newcomer = yield* joined(backend, joining)
        yield* agree(backend, [...members.slice(1), newcomer])
      }))

    swarmTest(backend, "a shutdown that was begun before ends after", (swarm) =>
      Effect.gen(function*() {
        const members = yield* joinAll(swarm, 3, withStandbys(1))
        const early = yield* fork(at(members, 2).coordinator.shutdown)
        yield* staysWaiting(backend, early)
        yield* at(members, 0).kill
        yield* eventually(backend, () => at(members, 1).coordinator.coordinates())
        yield* staysWaiting(backend, early)
        yield* joined(backend, yield* fork(at(members, 1).coordinator.shutdown))
        yield* joined(backend, early)
      }))

    swarmTest(
      backend,
      "a member that was stopped all the while follows, also when it was evicted meanwhile",
      (swarm) =>
        Effect.gen(function*() {
          for (const evicted of [false, true]) {
            const { go, over, stop } = stoppable()
            const options = (index: number) => ({ standby: index === 1, ...index === 2 ? { over } : {} })
            const members = yield* joinAll(swarm, 3, options)
            yield* stop
            yield* at(members, 0).kill
            yield* eventually(backend, () => at(members, 1).coordinator.coordinates())
            if (evicted) yield* joined(backend, yield* fork(chatter(at(members, 1), 400)))
            yield* at(members, 1).coordinator.publish("successor")
            yield* go
            yield* eventually(backend, () => at(members, 2).coordinator.resolve("successor") !== undefined)
            assert.deepStrictEqual(namesOf(at(members, 2)), ["m1", "m2"])
            yield* joined(backend, yield* fork(enterAll(members.slice(1), "meet")))
            yield* joined(backend, yield* fork(at(members, 2).close))
            yield* joined(backend, yield* fork(at(members, 1).close))
          }
        })
    )

    swarmTest(
      backend,
      "what was asked of the dead coordinator and repeated is done once",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3, withStandbys(1))
          yield* at(members, 0).kill
          const fibers = yield* Effect.forEach(
            ["a", "b"],
            (name) => fork(at(members, 2).coordinator.publish(name))
          )
          for (const fiber of fibers) yield* joined(backend, fiber)
          yield* eventually(backend, () => at(members, 1).coordinator.resolve("b")?.name === "m2")
          yield* Effect.forEach(fibers, Fiber.await)
        })
    )
  })
}

/** Sends so many notices that a member that does not read the coordinator's ring is evicted. */
export const chatter = ({ coordinator }: TestMember, times: number) =>
  Effect.forEach(
    Array.from({ length: times }, (_, i) => `a name that fills the ring of the coordinator, number ${i}`),
    (name) => Effect.scoped(coordinator.publish(name)),
    { discard: true }
  )
