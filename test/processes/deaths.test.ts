/**
 * Members and coordinators over real processes: killed, stopped, or ended without leaving.
 */
import { assert, describe } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Regions from "../../src/layers/Regions.ts"
import * as Swarm from "../../src/layers/Swarm.ts"
import {
  coordinator,
  isNamed,
  member,
  type MemberActor,
  regionTest,
  smallSizes,
  startMember,
  untilHolds
} from "./members.ts"
import type { ActorFailed } from "./orders.ts"

/** The bound of 250 ms, with a margin for a busy machine. */
const noticedMillis = 250 + 2000

const knows = (actor: MemberActor, names: string) =>
  untilHolds(names, Effect.map(actor.state, ({ members }) => members.join() === names))

const coordinatorsOf = (actors: ReadonlyArray<MemberActor>) =>
  Effect.map(
    Effect.forEach(actors, (actor) => actor.state),
    (states) => states.filter(({ coordinates }) => coordinates).map(({ self }) => self.name)
  )

const failureOf = (effect: Effect.Effect<unknown, ActorFailed>) =>
  Effect.map(Effect.flip(effect), ({ reason, tag }) => `${tag} ${reason}`)

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkScoped(effect, { startImmediately: true })

describe.skipIf(process.platform !== "linux")("deaths over real processes", () => {
  const ends: Readonly<Record<string, (actor: MemberActor) => void>> = {
    "SIGKILL": (actor) => actor.signal("SIGKILL"),
    "abort": (actor) => actor.order({ _tag: "abort" }),
    "_exit": (actor) => actor.order({ _tag: "die", code: 3 })
  }
  for (const [how, end] of Object.entries(ends)) {
    regionTest(
      `S15 B1 a member that ends by ${how} in a round is noticed within 250 ms, and the others go on`,
      (region) =>
        Effect.gen(function*() {
          const first = yield* coordinator(region, "m0")
          const [second, victim] = [yield* member(region, "m1"), yield* member(region, "victim")]
          const waiting = yield* Effect.forEach(
            [first, second],
            (actor) => fork(actor.do({ _tag: "enter", name: "meet" }))
          )
          yield* untilHolds("both wait", Effect.map(first.state, ({ members }) => members.length === 3))
          end(victim)
          yield* victim.exit
          const gone = yield* Clock.currentTimeMillis
          for (const fiber of waiting) assert.strictEqual(yield* Fiber.join(fiber), "Degraded")
          assert.isBelow((yield* Clock.currentTimeMillis) - gone, noticedMillis)
          yield* knows(second, "m0,m1")
          yield* second.end
          yield* first.end
        })
    )
  }

  regionTest(
    "B2 after a kill all that are left shut down together, and nothing is left in shared memory",
    (region) =>
      Effect.gen(function*() {
        const first = yield* coordinator(region, "m0")
        const others = [yield* member(region, "m1"), yield* member(region, "m2"), yield* member(region, "m3")]
        const victim = others.pop()!
        victim.signal("SIGKILL")
        const down = Effect.forEach([first, ...others], (actor) => actor.do({ _tag: "shutdown" }), {
          concurrency: "unbounded"
        })
        yield* Effect.timeout(down, "5 seconds")
        for (const actor of [...others, first]) assert.deepStrictEqual(yield* actor.end, { code: 0, signal: null })
      })
  )

  regionTest(
    "B10 processes come and go, more than there is room for at once, and each place is used again",
    (region) =>
      Effect.gen(function*() {
        const first = yield* coordinator(region, "m0", { members: 3 })
        const slots = new Set<number>()
        for (let round = 0; round < 6; round += 1) {
          yield* Effect.scoped(Effect.gen(function*() {
            const pair = yield* Effect.all([member(region, "a"), member(region, "b")], { concurrency: "unbounded" })
            for (const actor of pair) slots.add((yield* actor.joined).id.slot)
            const results = yield* Effect.forEach(
              [first, ...pair],
              (actor) => actor.do({ _tag: "enter", name: "meet" }),
              {
                concurrency: "unbounded"
              }
            )
            assert.deepStrictEqual(results, ["Satisfied", "Satisfied", "Satisfied"])
            if (round % 2 === 0) yield* pair[0].end
            else pair[0].signal("SIGKILL")
          }))
          yield* knows(first, "m0")
        }
        assert.isAtMost(slots.size, 3)
        yield* first.end
      })
  )

  regionTest("a second coordinator is refused by the region, and by the swarm", (region) =>
    Effect.gen(function*() {
      const first = yield* coordinator(region, "m0")
      const creating = yield* startMember("coordinator", region, { name: "usurper" })
      assert.strictEqual(yield* failureOf(creating.joined), "RegionError exists")
      const joining = yield* startMember("member", region, { name: "usurper", coordinate: true })
      assert.strictEqual(yield* failureOf(joining.joined), "JoinRefused coordinated")
      yield* first.end
      const late = yield* startMember("member", region, { name: "late" })
      assert.strictEqual(yield* failureOf(late.joined), "RegionError missing")
    }))

  regionTest(
    "the coordinator is killed without a standby: all end, doctor knows, and the next start needs no help",
    (region) =>
      Effect.gen(function*() {
        const first = yield* coordinator(region, "m0")
        const others = [yield* member(region, "m1"), yield* member(region, "m2"), yield* member(region, "m3")]
        const waiting = yield* Effect.forEach(
          others.slice(1),
          (actor) => fork(failureOf(actor.do({ _tag: "enter", name: "meet" })))
        )
        const shutting = yield* fork(failureOf(others[0]!.do({ _tag: "shutdown" })))
        first.signal("SIGKILL")
        yield* first.exit
        const gone = yield* Clock.currentTimeMillis
        for (const fiber of [...waiting, shutting]) {
          assert.strictEqual(yield* Fiber.join(fiber), "CoordinatorLost died")
        }
        assert.isBelow((yield* Clock.currentTimeMillis) - gone, noticedMillis)
        const path = CxlMemory.regionPath(region)
        assert.isFalse((yield* Regions.inspect(path)).held)
        // A new swarm can start even while members that lost their coordinator are still attached.
        const again = yield* coordinator(region, "m0")
        yield* knows(again, "m0")
        for (const actor of others) {
          yield* actor.end
        }
        yield* again.end
      })
  )

  regionTest(
    "a standby keeps the region of a killed creator in use, lets others in, and removes it at the end",
    (region) =>
      Effect.gen(function*() {
        const path = CxlMemory.regionPath(region)
        const first = yield* coordinator(region, "m0")
        const second = yield* member(region, "m1", { standby: true })
        const third = yield* member(region, "m2")
        const waiting = yield* fork(failureOf(third.do({ _tag: "enter", name: "meet" })))
        // Answered after the order to enter was obeyed: an arrival that is not sent yet is for the next coordinator.
        yield* third.do({ _tag: "state" })
        first.signal("SIGKILL")
        yield* first.exit
        // The region is held even before a standby has taken over.
        const found = yield* Regions.inspect(path)
        assert.isTrue(found.held)
        assert.strictEqual((yield* Effect.flip(Regions.removeDead(path))).fault, "busy")
        assert.strictEqual(yield* Fiber.join(waiting), "CoordinatorLost replaced")
        yield* knows(third, "m1,m2")
        assert.deepStrictEqual(yield* coordinatorsOf([second, third]), ["m1"])
        const creating = yield* startMember("coordinator", region, { name: "usurper" })
        assert.strictEqual(yield* failureOf(creating.joined), "RegionError exists")
        const late = yield* member(region, "late")
        const results = yield* Effect.forEach(
          [second, third, late],
          (actor) => actor.do({ _tag: "enter", name: "meet" }),
          {
            concurrency: "unbounded"
          }
        )
        assert.deepStrictEqual(results, ["Satisfied", "Satisfied", "Satisfied"])
        for (const actor of [late, third, second]) yield* actor.end
      })
  )

  regionTest(
    "a creator that leaves in good order hands over: the region stays until the last that holds it is gone",
    (region) =>
      Effect.gen(function*() {
        const first = yield* coordinator(region, "m0")
        const second = yield* member(region, "m1", { standby: true })
        const third = yield* member(region, "m2", { standby: true })
        assert.deepStrictEqual(yield* first.end, { code: 0, signal: null })
        assert.isTrue(isNamed(region))
        yield* knows(third, "m1,m2")
        const late = yield* member(region, "late")
        const names = yield* coordinatorsOf([second, third])
        assert.strictEqual(names.length, 1)
        const [present, other] = names[0] === "m1" ? [second, third] : [third, second]
        yield* present.end
        assert.isTrue(isNamed(region))
        yield* untilHolds("the other coordinates", Effect.map(other.state, ({ coordinates }) => coordinates))
        yield* Effect.forEach([other, late], (actor) => actor.do({ _tag: "shutdown" }), { concurrency: "unbounded" })
        yield* late.end
        yield* other.end
      })
  )

  regionTest(
    "when all who held a region are dead it is left over, and removed by the next one or by repair",
    (region) =>
      Effect.gen(function*() {
        const path = CxlMemory.regionPath(region)
        for (const how of ["next", "repair"]) {
          const first = yield* coordinator(region, "m0")
          const second = yield* member(region, "m1", { standby: true })
          first.signal("SIGKILL")
          yield* untilHolds("it took over", Effect.map(second.state, ({ coordinates }) => coordinates))
          second.signal("SIGKILL")
          yield* second.exit
          assert.isTrue(isNamed(region))
          assert.isFalse((yield* Regions.inspect(path)).held)
          if (how === "repair") yield* Regions.removeDead(path)
        }
      })
  )

  regionTest(
    "of two standbys over real processes exactly one takes over, however often",
    (region) =>
      Effect.gen(function*() {
        let all = [yield* coordinator(region, "m0")]
        for (const name of ["m1", "m2", "m3"]) all.push(yield* member(region, name, { standby: true }))
        while (all.length > 1) {
          const [name] = yield* coordinatorsOf(all)
          const states = yield* Effect.forEach(all, (actor) => actor.state)
          const present = all[states.findIndex(({ self }) => self.name === name)]!
          present.signal("SIGKILL")
          yield* present.exit
          all = all.filter((actor) => actor !== present)
          const rest = states.flatMap(({ self }) => self.name === name ? [] : [self.name]).join()
          for (const actor of all) yield* knows(actor, rest)
          assert.strictEqual((yield* coordinatorsOf(all)).length, 1)
          yield* Effect.forEach(all, (actor) => actor.do({ _tag: "enter", name: "meet" }), { concurrency: "unbounded" })
        }
        yield* all[0]!.end
      })
  )

  regionTest(
    "B9 a member that is stopped is suspect, not dead, and when it goes on it knows all that it missed",
    (region) =>
      Effect.gen(function*() {
        const first = yield* coordinator(region, "m0", { suspectAfter: 300 })
        const stopped = yield* member(region, "stopped")
        const third = yield* member(region, "m2")
        stopped.signal("SIGSTOP")
        yield* untilHolds("it is suspect", Effect.map(third.state, ({ suspects }) => suspects.join() === "stopped"))
        // Send so many notices that the member is evicted from the coordinator's ring.
        yield* third.do({ _tag: "chatter", times: 400 })
        yield* third.do({ _tag: "publish", name: "last" })
        yield* knows(first, "m0,stopped,m2")
        stopped.signal("SIGCONT")
        assert.strictEqual(yield* stopped.do({ _tag: "waitFor", name: "last" }), "m2")
        yield* knows(stopped, "m0,stopped,m2")
        yield* untilHolds("it is no longer suspect", Effect.map(third.state, ({ suspects }) => suspects.length === 0))
        yield* Effect.forEach([first, stopped, third], (actor) => actor.do({ _tag: "enter", name: "meet" }), {
          concurrency: "unbounded"
        })
        for (const actor of [stopped, third, first]) yield* actor.end
      })
  )

  regionTest(
    "a member that is stopped while another joins holds up that candidate until its deadline, and no member",
    (region) =>
      Effect.gen(function*() {
        // The deadline also bounds candidates, which take a while on a busy machine.
        const first = yield* coordinator(region, "m0", { joinDeadline: "2 seconds", joinTurn: 150 })
        const stopped = yield* member(region, "stopped")
        stopped.signal("SIGSTOP")
        const refused = yield* startMember("member", region, { name: "refused" })
        assert.strictEqual(yield* failureOf(refused.joined), "JoinRefused deadline")
        // Meanwhile the other members meet without the stopped one.
        stopped.signal("SIGCONT")
        const late = yield* member(region, "late")
        yield* knows(first, "m0,stopped,late")
        for (const actor of [late, stopped, first]) yield* actor.end
      })
  )

  regionTest(
    "a coordinator that is stopped is not replaced: deadlines end what waits, and all goes on when it does",
    (region) =>
      Effect.gen(function*() {
        const first = yield* coordinator(region, "m0")
        const second = yield* member(region, "m1", { standby: true })
        first.signal("SIGSTOP")
        const late = yield* failureOf(second.do({ _tag: "enter", name: "meet", deadlineMillis: 300 }))
        assert.match(late, /^BarrierTimedOut/)
        assert.deepStrictEqual((yield* second.state).coordinates, false)
        first.signal("SIGCONT")
        yield* Effect.forEach([first, second], (actor) => actor.do({ _tag: "enter", name: "meet" }), {
          concurrency: "unbounded"
        })
        yield* second.end
        yield* first.end
      })
  )

  regionTest(
    "a coordinator in this process lets processes in that this test then kills",
    (region) =>
      Effect.gen(function*() {
        yield* Effect.gen(function*() {
          const actor = yield* member(region, "there")
          actor.signal("SIGKILL")
          yield* actor.exit
        }).pipe(
          Effect.scoped,
          Effect.provide(Swarm.layerCoordinator({ region, name: "here", ...smallSizes }))
        )
      })
  )
})
