/**
 * How processes become members, and which are refused.
 */
import { assert, describe } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { RingPorts } from "../../../src/layers/ports/RingPorts.ts"
import { JoinRefused } from "../../../src/services/Coordinator.ts"
import { Messenger } from "../../../src/services/Messenger.ts"
import { showMember } from "../../../src/services/schema/Member.ts"
import {
  at,
  enterAll,
  eventually,
  failedWith,
  fork,
  joinAll,
  joinAs,
  joined,
  type JoinOptions,
  seeingForeign,
  type SwarmBackend,
  swarmTest,
  type TestMember
} from "../../backends/swarm.ts"
import { stoppable } from "../../faults/stoppable.ts"
import { soon, timed, timedWhole } from "./times.ts"

const Hello = Messenger.event("hello", Schema.String)

const reasonOf = (error: unknown): string => error instanceof JoinRefused ? error.reason : `${String(error)}`

export const lifecycleJoiningSuite = (backend: SwarmBackend): void => {
  describe(`joining (${backend.name})`, () => {
    swarmTest(
      backend,
      "S21 a member that joins in mid-flight hears all, is heard by all, and meets them at the next barrier",
      (swarm) =>
        Effect.gen(function*() {
          const [first, second] = yield* joinAll(swarm, 2)
          const open = yield* fork(first!.barrier.enter("meet"))
          const late = yield* swarm.join("late")
          assert.strictEqual(late.coordinator.self.incarnation, 0)
          assert.deepStrictEqual(late.coordinator.members().map(({ name }) => name), ["m0", "m1", "late"])
          // The round was open before: it does not wait for the later member.
          const result = yield* second!.barrier.enter("meet")
          assert.strictEqual(result._tag, "Satisfied")
          assert.deepStrictEqual(yield* joined(backend, open), {
            ...result,
            drained: (yield* joined(backend, open)).drained
          })
          const all = [first!, second!, late]
          const heard: Array<string> = []
          for (const { messenger, name } of all) {
            yield* messenger.subscribe(Hello, (from) => Effect.sync(() => void heard.push(`${name} hears ${from}`)))
          }
          for (const { messenger, name } of all) yield* messenger.send(Hello, name)
          yield* late.coordinator.publish("the late one")
          yield* first!.coordinator.waitFor("the late one")
          yield* first!.messenger.send(Hello, "by name", { name: "the late one" })
          yield* enterAll(all, "meet")
          const expected = all.flatMap(({ name }) =>
            all.filter((other) => other.name !== name).map((other) => `${name} hears ${other.name}`)
          )
          assert.deepStrictEqual(heard.toSorted(), [...expected, "late hears by name"].toSorted())
        })
    )

    swarmTest(
      backend,
      "each member marks the pids of other namespaces than its own, from any source",
      (swarm) =>
        Effect.gen(function*() {
          const inContainer = (name: string) => name === "m1"
          const outside = (name: string) => !inContainer(name)
          const joining = (name: string, options: JoinOptions) =>
            Effect.flatMap(swarm.attach(name), (process) =>
              joinAs(seeingForeign(process, inContainer(name) ? outside : inContainer), name, options))
          const first = yield* joining("m0", { coordinate: true })
          const inside = yield* joining("m1", { standby: true })
          const late = yield* joining("m2", {})
          const foreignTo = ({ coordinator }: TestMember) =>
            coordinator.members().filter(({ foreignPid }) =>
              foreignPid === true
            ).map(({ name }) => name)
          // The second learned of the first from the whole membership, and of the third from its admission; the third
          // learned of all others from a membership in which the first had marked the second.
          yield* eventually(backend, () => inside.coordinator.members().length === 3)
          assert.deepStrictEqual([first, inside, late].map(foreignTo), [["m1"], ["m0", "m2"], ["m1"]])
          // Its successor sends the whole membership, and each member makes its own marks.
          yield* first.kill
          yield* eventually(backend, () => inside.coordinator.coordinates() && late.coordinator.members().length === 2)
          assert.deepStrictEqual([inside, late].map(foreignTo), [["m2"], ["m1"]])
          const lost = yield* Effect.flip(inside.coordinator.find(first.id))
          assert.strictEqual(
            lost.message,
            `member "m0" (${showMember(first.id)}, pid ${process.pid} of another pid namespace) is gone`
          )
        })
    )

    swarmTest(
      backend,
      "all members see the same joins in the same order, each with the epoch that it began",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 4)
          for (const { coordinator } of members) {
            assert.strictEqual(coordinator.epoch(), 4)
            assert.deepStrictEqual(coordinator.members(), at(members, 0).coordinator.members())
          }
        })
    )

    swarmTest(
      backend,
      "a second coordinator is refused, and the first does not notice",
      (swarm) =>
        Effect.gen(function*() {
          yield* joinAll(swarm, 2)
          const error = yield* Effect.flip(Effect.scoped(swarm.join("usurper", { coordinate: true })))
          assert.strictEqual(reasonOf(error), "coordinated")
          assert.match(String(error), /this region has a coordinator already: "[^"]+" \(pid \d+.*\)/)
          yield* swarm.join("another")
        })
    )

    swarmTest(backend, "without a coordinator there is nothing to join", (swarm) =>
      Effect.gen(function*() {
        const joining = yield* fork(Effect.scoped(swarm.join("early", { joinDeadline: 300 })))
        assert.strictEqual(reasonOf(yield* failedWith(backend, joining)), "noCoordinator")
      }))

    swarmTest(
      backend,
      "times are durations of any form, and an invalid one is named before anything is joined",
      (swarm) =>
        Effect.gen(function*() {
          for (const joinDeadline of ["300 millis", { milliseconds: 300 }, Duration.millis(300)] as const) {
            const refused = Effect.flip(Effect.scoped(swarm.join("early", { joinDeadline })))
            const { millis, value } = yield* timedWhole(backend, refused)
            assert.strictEqual(reasonOf(value), "noCoordinator")
            assert.isAtLeast(millis, 298)
            assert.isAtMost(millis, soon(backend, 350))
          }
          // Values as they come from configuration and JSON; types exclude the first.
          const none: ReadonlyArray<readonly [Duration.Input, string]> = [
            ["soon" as "1 second", `"soon"`],
            [-1, "-1"],
            [Number.NaN, "NaN"]
          ]
          for (const [suspectAfter, given] of none) {
            const error = yield* Effect.flip(Effect.scoped(swarm.join("m0", { coordinate: true, suspectAfter })))
            assert.strictEqual(error._tag, "DurationInvalid")
            assert.include(error.message, `suspectAfter: ${given} is not a time to wait`)
          }
          yield* swarm.join("m0", { coordinate: true })
        })
    )

    swarmTest(
      backend,
      "a size of messages that is none is refused before anything is joined",
      (swarm) =>
        Effect.gen(function*() {
          for (const messageBytesMax of [NaN, -1, 0.5, Infinity]) {
            const error = yield* Effect.flip(Effect.scoped(swarm.join("m0", { coordinate: true, messageBytesMax })))
            assert.isTrue(error._tag === "RegionError" && error.fault === "invalid")
            assert.include(error.message, `messageBytesMax cannot be ${messageBytesMax}`)
          }
          yield* swarm.join("m0", { coordinate: true })
        })
    )

    swarmTest(
      backend,
      "a single call that is given no time to wait fails with its name, and the member goes on",
      (swarm) =>
        Effect.gen(function*() {
          const { barrier, coordinator, messenger } = at(yield* joinAll(swarm, 1), 0)
          for (const deadline of [-1, Number.NaN, "soon" as "1 second"]) {
            const calls: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> = [
              barrier.enter("b", { deadline }),
              coordinator.waitFor("absent", { deadline }),
              messenger.receive(Hello, { deadline })
            ]
            for (const call of calls) {
              const error = yield* Effect.flip(call)
              assert.strictEqual(error._tag, "DurationInvalid")
              assert.include(String(error), "deadline: ")
            }
          }
          assert.strictEqual((yield* barrier.enter("b"))._tag, "Satisfied")
        })
    )

    swarmTest(backend, "a candidate that comes before its coordinator waits for it", (swarm) =>
      Effect.gen(function*() {
        const joining = yield* fork(swarm.join("early"))
        yield* backend.elapse(100)
        yield* swarm.join("coordinator", { coordinate: true })
        const early = yield* joined(backend, joining)
        assert.deepStrictEqual(early.coordinator.members().map(({ name }) => name), ["coordinator", "early"])
      }))

    swarmTest(backend, "a swarm that shuts down admits no process", (swarm) =>
      Effect.gen(function*() {
        // The hook never ends: the swarm stays as it is, ready to shut down.
        const first = yield* swarm.join("m0", { coordinate: true, shutdownHook: Effect.never })
        yield* fork(first.coordinator.shutdown)
        yield* eventually(backend, () => first.swarmMember.over)
        const late = yield* fork(Effect.scoped(swarm.join("late")))
        assert.strictEqual(reasonOf(yield* failedWith(backend, late)), "shuttingDown")
      }))

    swarmTest(
      backend,
      "B10 more members join in one life of a swarm than it has room for at once, and barriers have them all",
      (swarm) =>
        Effect.gen(function*() {
          const first = yield* swarm.join("m0", { coordinate: true })
          const slots = new Set<number>()
          for (let i = 0; i < joins; i += 1) {
            const scoped = Effect.scoped(Effect.gen(function*() {
              const member = yield* swarm.join(`guest-${i}`)
              slots.add(member.id.slot)
              if (i % 10 === 0) yield* enterAll([first, member], "meet")
              yield* member.coordinator.leave
            }))
            yield* joined(backend, yield* fork(scoped))
          }
          assert.isAtMost(slots.size, 2)
          assert.strictEqual(first.coordinator.epoch(), 1 + 2 * joins)
          assert.deepStrictEqual(first.coordinator.members().map(({ name }) => name), ["m0"])
        })
    )

    swarmTest(
      backend,
      "a candidate that dies while it joins leaves nothing behind, and the next is admitted",
      (swarm) =>
        Effect.gen(function*() {
          const first = yield* swarm.join("m0", { coordinate: true })
          const { over, stop } = stoppable()
          const process = yield* swarm.attach("dying")
          yield* fork(
            Effect.ignore(joinAs(process, "dying", { over: stopsBefore(`events/${first.id.slot}`, over, stop) }))
          )
          yield* backend.elapse(100)
          assert.deepStrictEqual(first.coordinator.members().map(({ name }) => name), ["m0"])
          yield* process.kill
          const next = yield* joined(backend, yield* fork(swarm.join("next")))
          assert.deepStrictEqual(first.coordinator.members().map(({ name }) => name), ["m0", "next"])
          assert.strictEqual(first.coordinator.epoch(), 2)
          yield* enterAll([first, next], "meet")
        })
    )

    swarmTest(
      backend,
      "a candidate that is stopped while it joins holds others up for one turn only, and is admitted when it goes on",
      (swarm) =>
        Effect.gen(function*() {
          const first = yield* swarm.join("m0", { coordinate: true, joinTurn: 200 })
          const { go, over, stop } = stoppable()
          const slow = yield* fork(swarm.join("slow", { over: stopsBefore(`events/${first.id.slot}`, over, stop) }))
          yield* backend.elapse(50)
          const { millis } = yield* timed(backend, yield* fork(swarm.join("quick")))
          assert.isAtMost(millis, soon(backend, 250))
          assert.isUndefined(slow.pollUnsafe())
          yield* go
          yield* joined(backend, slow)
          assert.deepStrictEqual(first.coordinator.members().map(({ name }) => name), ["m0", "quick", "slow"])
        })
    )

    swarmTest(
      backend,
      "while a member is stopped no process is admitted until it goes on or the deadline has passed",
      (swarm) =>
        Effect.gen(function*() {
          const { go, over, stop } = stoppable()
          const options = { joinDeadline: 500, joinTurn: 100 }
          const members = yield* joinAll(swarm, 2, (index) => index === 0 ? options : { ...options, over })
          yield* stop
          const refused = yield* Effect.forEach([1, 2], (i) => fork(Effect.scoped(swarm.join(`late-${i}`, options))))
          const errors = yield* Effect.forEach(refused, (fiber) => failedWith(backend, fiber))
          assert.deepStrictEqual(errors.map(reasonOf), ["deadline", "deadline"])
          const patient = yield* fork(swarm.join("patient"))
          yield* backend.elapse(250)
          yield* go
          yield* joined(backend, patient)
          assert.deepStrictEqual(at(members, 1).coordinator.members().map(({ name }) => name), ["m0", "m1", "patient"])
        })
    )

    swarmTest(
      backend,
      "a candidate that gives up joining is not a member, and holds up no barrier",
      (swarm) =>
        Effect.gen(function*() {
          const { go, over, stop } = stoppable()
          const members = yield* joinAll(swarm, 2, (index) => index === 1 ? { over } : {})
          yield* stop
          // Its process stays attached: only its membership ends.
          const process = yield* swarm.attach("impatient")
          const joining = yield* fork(Effect.scoped(joinAs(process, "impatient", { joinDeadline: 200 })))
          assert.strictEqual(reasonOf(yield* failedWith(backend, joining)), "deadline")
          yield* go
          yield* backend.elapse(50)
          yield* joined(backend, yield* fork(enterAll(members, "meet")))
          assert.deepStrictEqual(at(members, 0).coordinator.members().map(({ name }) => name), ["m0", "m1"])
        })
    )
  })
}

/** More than the 126 members that comparable libraries allow in all. */
const joins = 150

/** The process is stopped when it is about to read that ring. */
const stopsBefore = (
  name: string,
  over: (ring: RingPorts["Service"]) => RingPorts["Service"],
  stop: Effect.Effect<void>
) =>
(ring: RingPorts["Service"]): RingPorts["Service"] => {
  const stopped = over(ring)
  return {
    ...stopped,
    openReader: (ring, reader) => Effect.andThen(ring === name ? stop : Effect.void, stopped.openReader(ring, reader))
  }
}
