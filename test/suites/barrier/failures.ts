/**
 * Barriers when a member dies, leaves, or is late, in any phase of a round.
 */
import { assert, describe } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { RingPorts } from "../../../src/layers/ports/RingPorts.ts"
import type { BarrierError, BarrierResult } from "../../../src/services/Barrier.ts"
import type { BarrierMode } from "../../../src/services/schema/BarrierArrival.ts"
import type { MemberId } from "../../../src/services/schema/Member.ts"
import {
  at,
  enterAll,
  eventually,
  failedWith,
  fork,
  joinAll,
  joined,
  staysWaiting,
  type SwarmBackend,
  swarmTest,
  type TestMember
} from "../../backends/swarm.ts"
import { type Hold, holding, interposing, losing, unseen } from "../../faults/held.ts"
import { parked, Tick } from "../../faults/parked.ts"
import { stoppable } from "../../faults/stoppable.ts"
import { agree, chatter } from "../membership/failover.ts"
import { collect } from "../messenger/delivery.ts"

const fences: ReadonlyArray<BarrierMode> = ["deliveryFence", "processingFence"]

const departedOf = (result: BarrierResult): ReadonlyArray<MemberId> => result._tag === "Degraded" ? result.departed : []

export const barrierFailuresSuite = (backend: SwarmBackend): void => {
  /** The fiber's result, which must arrive within a second. */
  const withinOneSecond = Effect.fnUntraced(function*<A>(fiber: Fiber.Fiber<A, BarrierError>) {
    const before = yield* Clock.currentTimeMillis
    const result = yield* joined(backend, fiber)
    assert.isBelow((yield* Clock.currentTimeMillis) - before, 1000)
    return result
  })

  /** A processing fence that waits for a parked handler of the member `leaver`. `over`: of the coordinator's rings. */
  const fenceBehind = Effect.fnUntraced(function*(
    swarm: Parameters<typeof joinAll>[0],
    over: (ring: RingPorts["Service"]) => RingPorts["Service"]
  ) {
    const members = yield* joinAll(swarm, 3, (index) => index === 0 ? { over } : {})
    const [coordinator, leaver, sender] = [at(members, 0), at(members, 1), at(members, 2)]
    const { begun } = yield* parked(leaver)
    yield* sender.messenger.send(Tick, 1, { member: leaver.id })
    yield* begun
    const staying = yield* fork(enterAll([coordinator, sender], "b", { mode: "processingFence" }))
    yield* fork(leaver.barrier.enter("b", { mode: "processingFence" }))
    yield* staysWaiting(backend, staying)
    return { coordinator, leaver, sender, staying }
  })

  describe(`barriers and deaths (${backend.name})`, () => {
    swarmTest(
      backend,
      "B1 a member dies before it arrives: the others are released, and it is named",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const waiting = yield* fork(enterAll(members.slice(0, 2), "b"))
          yield* staysWaiting(backend, waiting)
          yield* at(members, 2).kill
          const results = yield* withinOneSecond(waiting)
          assert.deepStrictEqual(results.map(departedOf), [[at(members, 2).id], [at(members, 2).id]])
          const [again] = yield* enterAll(members.slice(0, 2), "b")
          assert.strictEqual(again?._tag, "Satisfied")
        })
    )

    swarmTest(
      backend,
      "what a dead member had sent before it arrived stays a target, though its slot has its next member by then",
      (swarm) =>
        Effect.gen(function*() {
          const hold: Hold = { held: false }
          // The coordinator neither reads the arrival nor notices the death before another member has the slot.
          const unaware = (ring: RingPorts["Service"]): RingPorts["Service"] => ({
            ...holding((name) => name.startsWith("control/"), hold)(ring),
            lives: () => 0
          })
          const members = yield* joinAll(
            swarm,
            3,
            (index) => index === 0 ? { over: unaware, livenessInterval: 60_000 } : {}
          )
          const mortal = at(members, 2)
          const { ring } = mortal.swarmMember.mesh.target()
          hold.held = true
          for (const value of [1, 2, 3]) yield* mortal.messenger.send(Tick, value)
          yield* staysWaiting(backend, yield* fork(mortal.barrier.enter("b")))
          yield* mortal.kill
          const joining = yield* fork(swarm.join("next"))
          yield* staysWaiting(backend, joining)
          hold.held = false
          const results = yield* withinOneSecond(yield* fork(enterAll(members.slice(0, 2), "b")))
          assert.deepStrictEqual(results.map(departedOf), [[mortal.id], [mortal.id]])
          for (const { targets } of results) {
            assert.isTrue(
              targets.some((target) => target.ring === ring && target.position > 0),
              JSON.stringify(targets)
            )
          }
          assert.strictEqual((yield* joined(backend, joining)).id.slot, mortal.id.slot)
        })
    )

    for (const mode of fences) {
      swarmTest(
        backend,
        `B1 a member dies after it arrived: what it had sent before still comes first (${mode})`,
        (swarm) =>
          Effect.gen(function*() {
            const members = yield* joinAll(swarm, 3)
            const [coordinator, receiver, mortal] = [at(members, 0), at(members, 1), at(members, 2)]
            const { begun, gate, handled } = yield* parked(receiver)
            for (let value = 0; value < 5; value += 1) yield* mortal.messenger.send(Tick, value)
            yield* begun
            yield* fork(mortal.barrier.enter("b", { mode }))
            yield* backend.elapse(10)
            yield* mortal.kill
            const waiting = yield* fork(enterAll([coordinator, receiver], "b", { mode }))
            yield* staysWaiting(backend, waiting, 150)
            yield* gate.open
            const results = yield* joined(backend, waiting)
            // It had arrived, so it counts as departed only if the release had to wait.
            const departed = mode === "deliveryFence" ? [] : [mortal.id]
            assert.deepStrictEqual(results.map(departedOf), [departed, departed])
            assert.isAtLeast(handled.length, mode === "deliveryFence" ? 4 : 5)
          })
      )
    }

    swarmTest(
      backend,
      "B1 a member dies in the turn in which it arrives: its arrival counts, and its targets",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const [coordinator, mortal] = [at(members, 0), at(members, 1)]
          const { begun, gate, handled } = yield* parked(coordinator)
          for (let value = 0; value < 5; value += 1) yield* mortal.messenger.send(Tick, value)
          yield* begun
          yield* fork(mortal.barrier.enter("b", { mode: "processingFence" }))
          yield* mortal.kill
          // the coordinator checks which members live before it reads their requests
          yield* coordinator.swarmMember.tick(yield* Clock.currentTimeMillis).pipe(Effect.scoped)
          const waiting = yield* fork(coordinator.barrier.enter("b", { mode: "processingFence" }))
          yield* staysWaiting(backend, waiting)
          yield* gate.open
          yield* joined(backend, waiting)
          assert.strictEqual(handled.length, 5)
        })
    )

    swarmTest(
      backend,
      "B1 a member dies while the round drains: its own handlers are not waited for any more",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const [one, two, mortal] = [at(members, 0), at(members, 1), at(members, 2)]
          const { begun } = yield* parked(mortal)
          yield* one.messenger.send(Tick, 1, { member: mortal.id })
          yield* begun
          const waiting = yield* fork(enterAll([one, two], "b", { mode: "processingFence" }))
          yield* fork(mortal.barrier.enter("b", { mode: "processingFence" }))
          yield* staysWaiting(backend, waiting)
          yield* mortal.kill
          const results = yield* withinOneSecond(waiting)
          assert.deepStrictEqual(results.map(departedOf), [[mortal.id], [mortal.id]])
        })
    )

    swarmTest(
      backend,
      "a member leaves while the others wait, and while the round drains",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 4)
          const [one, two, three, four] = [at(members, 0), at(members, 1), at(members, 2), at(members, 3)]
          const waiting = yield* fork(enterAll([one, two, three], "b"))
          yield* staysWaiting(backend, waiting)
          yield* four.close
          assert.deepStrictEqual((yield* joined(backend, waiting)).map(departedOf), [[four.id], [four.id], [four.id]])
          const { begun, gate, handled } = yield* parked(one)
          for (const value of [1, 2]) yield* three.messenger.send(Tick, value)
          yield* begun
          const draining = yield* fork(enterAll([one, two], "b"))
          const leaves = yield* fork(three.barrier.enter("b"))
          yield* staysWaiting(backend, draining)
          yield* three.close
          assert.strictEqual((yield* failedWith(backend, leaves))._tag, "ShuttingDown")
          yield* staysWaiting(backend, draining)
          yield* gate.open
          assert.deepStrictEqual((yield* joined(backend, draining)).map(departedOf), [[three.id], [three.id]])
          assert.deepStrictEqual(handled.slice(0, 1), [1])
        })
    )

    swarmTest(
      backend,
      "a processing fence goes on when a member leaves that has to handle what one sent who joined after it",
      (swarm) =>
        Effect.gen(function*() {
          const hold: Hold = { held: false }
          const over = holding((name) => name.startsWith("control/"), hold)
          const { leaver, sender, staying } = yield* fenceBehind(swarm, over)
          // Let it join and read first, until the coordinator has admitted it.
          hold.held = true
          const leaving = yield* fork(leaver.close)
          yield* staysWaiting(backend, staying)
          hold.held = false
          // What was held had rung the coordinator's doorbell already: ring it again.
          yield* sender.swarmMember.noteExit
          yield* joined(backend, leaving)
          const results = yield* joined(backend, staying)
          assert.deepStrictEqual(results.map(departedOf), [[leaver.id], [leaver.id]])
        })
    )

    swarmTest(
      backend,
      "a processing fence goes on when a member has closed its readers whose request to leave is not read yet",
      (swarm) =>
        Effect.gen(function*() {
          const hold: Hold = { held: false }
          let hidden = -1
          const over = (ring: RingPorts["Service"]): RingPorts["Service"] => {
            // The look that misses the leaver's reader comes ahead of any look at its request.
            const look = unseen(() => {
              hold.held &&= hidden === -1
              return hidden
            })
            return look(holding((name) => name.startsWith("control/"), hold)(ring))
          }
          const { coordinator, leaver, sender, staying } = yield* fenceBehind(swarm, over)
          hold.held = true
          const leaving = yield* fork(leaver.coordinator.leave)
          yield* staysWaiting(backend, staying)
          assert.isTrue(hold.held)
          hidden = leaver.id.slot
          // The cursors of its readers wake the coordinator.
          yield* sender.messenger.send(Tick, 2, { member: coordinator.id })
          const results = yield* joined(backend, staying)
          assert.isFalse(hold.held)
          assert.deepStrictEqual(results.map(departedOf), [[leaver.id], [leaver.id]])
          yield* joined(backend, leaving)
        })
    )

    swarmTest(
      backend,
      "what one had sent that leaves is handled by all before a processing fence returns",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const [coordinator, receiver, leaver] = [at(members, 0), at(members, 1), at(members, 2)]
          const { begun, gate, handled } = yield* parked(receiver)
          for (const value of [1, 2]) yield* leaver.messenger.send(Tick, value)
          yield* begun
          const staying = yield* fork(enterAll([coordinator, receiver], "b", { mode: "processingFence" }))
          yield* fork(leaver.barrier.enter("b", { mode: "processingFence" }))
          yield* staysWaiting(backend, staying)
          yield* leaver.close
          yield* staysWaiting(backend, staying)
          yield* gate.open
          const results = yield* joined(backend, staying)
          assert.deepStrictEqual(results.map(departedOf), [[leaver.id], [leaver.id]])
          assert.deepStrictEqual(handled, [1, 2])
        })
    )

    swarmTest(
      backend,
      "a member dies in the moment in which the draining begins again without another: neither is waited for",
      (swarm) =>
        Effect.gen(function*() {
          let whenWaiting = () => {}
          const over = interposing(() => whenWaiting())
          const members = yield* joinAll(swarm, 4, (index) => index === 0 ? { over } : {})
          const [one, two, leaver, mortal] = [at(members, 0), at(members, 1), at(members, 2), at(members, 3)]
          const parkings = yield* Effect.forEach([two, leaver, mortal], parked)
          yield* one.messenger.send(Tick, 1)
          for (const { begun } of parkings) yield* begun
          const staying = yield* fork(enterAll([one, two], "b", { mode: "processingFence" }))
          for (const { barrier } of [leaver, mortal]) yield* fork(barrier.enter("b", { mode: "processingFence" }))
          yield* staysWaiting(backend, staying)
          const nowMillis = yield* Clock.currentTimeMillis
          whenWaiting = () => {
            whenWaiting = () => {}
            Effect.runSync(Effect.andThen(mortal.kill, one.swarmMember.tick(nowMillis)))
          }
          yield* leaver.coordinator.leave
          yield* staysWaiting(backend, staying)
          yield* at(parkings, 0).gate.open
          const results = yield* joined(backend, staying)
          assert.deepStrictEqual(results.map(departedOf), [[leaver.id, mortal.id], [leaver.id, mortal.id]])
        })
    )

    swarmTest(
      backend,
      "a fiber that waits in a barrier while its member leaves, or shuts down, fails with that",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const waits = yield* fork(at(members, 2).barrier.enter("b"))
          yield* backend.elapse(5)
          yield* at(members, 2).coordinator.leave
          assert.strictEqual((yield* failedWith(backend, waits))._tag, "ShuttingDown")
          const shuts = yield* fork(at(members, 1).barrier.enter("b"))
          yield* backend.elapse(5)
          yield* fork(at(members, 1).coordinator.shutdown)
          assert.strictEqual((yield* failedWith(backend, shuts))._tag, "ShuttingDown")
          yield* backend.elapse(5)
          // they had arrived: their messages remain targets
          const result = yield* at(members, 0).barrier.enter("b")
          assert.deepStrictEqual(departedOf(result), [at(members, 2).id, at(members, 1).id])
        })
    )

    swarmTest(
      backend,
      "S18 departure: a member shuts down early, the others' processing fence does not wait for it",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const done = [yield* fork(at(members, 1).coordinator.shutdown)]
          yield* backend.elapse(5)
          const fence = yield* fork(enterAll([at(members, 0), at(members, 2)], "b", { mode: "processingFence" }))
          const results = yield* joined(backend, fence)
          assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied"])
          assert.strictEqual((yield* Effect.flip(at(members, 1).barrier.enter("late")))._tag, "ShuttingDown")
          for (const { coordinator } of [at(members, 0), at(members, 2)]) done.push(yield* fork(coordinator.shutdown))
          for (const fiber of done) yield* joined(backend, fiber)
        })
    )

    swarmTest(backend, "a join, a departure and a kill in the middle of one round", (swarm) =>
      Effect.gen(function*() {
        const members = yield* joinAll(swarm, 5)
        const [one, two, three, leaver, mortal] = [0, 1, 2, 3, 4].map((index) => at(members, index))
        if (!one || !two || !three || !leaver || !mortal) return
        const got = yield* collect(one, Tick)
        const early = yield* fork(enterAll([one, two], "b"))
        yield* mortal.messenger.send(Tick, 7)
        yield* fork(mortal.barrier.enter("b"))
        yield* staysWaiting(backend, early)
        const joiner = yield* swarm.join("joiner")
        const next = yield* fork(joiner.barrier.enter("b"))
        yield* leaver.close
        yield* mortal.kill
        yield* staysWaiting(backend, early, 100)
        const last = yield* fork(three.barrier.enter("b"))
        const results = [...yield* joined(backend, early), yield* joined(backend, last)]
        for (const result of results) {
          assert.sameDeepMembers([...departedOf(result)], [leaver.id, mortal.id])
        }
        assert.deepStrictEqual(got, [7])
        yield* staysWaiting(backend, next)
        const nexts = yield* fork(enterAll([one, two, three], "b"))
        const { round } = yield* joined(backend, next)
        assert.deepStrictEqual((yield* joined(backend, nexts)).map((result) => result.round), [round, round, round])
      }))

    swarmTest(
      backend,
      "a fence over a range that was lost fails: for who lost it, and for all if the coordinator did",
      (swarm) =>
        Effect.gen(function*() {
          const lost = [false, false, false]
          const members = yield* joinAll(swarm, 3, (index) => ({ over: losing(() => lost[index] ?? false) }))
          const outcomes = Effect.forEach(
            members,
            ({ barrier }) =>
              Effect.match(barrier.enter("b"), {
                onFailure: ({ _tag }) => _tag as string,
                onSuccess: ({ _tag }) => _tag as string
              }),
            { concurrency: "unbounded" }
          )
          yield* at(members, 2).messenger.send(Tick, 1)
          yield* enterAll(members, "before")
          lost[1] = true
          yield* at(members, 2).messenger.send(Tick, 2)
          assert.deepStrictEqual(yield* joined(backend, yield* fork(outcomes)), ["Satisfied", "RangeLost", "Satisfied"])
          lost[0] = true
          yield* at(members, 2).messenger.send(Tick, 3)
          assert.deepStrictEqual(yield* joined(backend, yield* fork(outcomes)), ["RangeLost", "RangeLost", "RangeLost"])
        })
    )

    swarmTest(
      backend,
      "a processing fence fails when a member is no reader of a stream any more",
      (swarm) =>
        Effect.gen(function*() {
          let hidden = -1
          const members = yield* joinAll(swarm, 2, () => ({ over: unseen(() => hidden) }))
          yield* at(members, 0).messenger.send(Tick, 1)
          yield* enterAll(members, "before", { mode: "processingFence" })
          hidden = at(members, 1).id.slot
          const fence = yield* fork(enterAll(members, "b", { mode: "processingFence", deadline: 500 }))
          assert.strictEqual((yield* failedWith(backend, fence))._tag, "RangeLost")
        })
    )
  })

  describe(`barriers and the coordinator's death (${backend.name})`, () => {
    const outcomes = (fibers: ReadonlyArray<Fiber.Fiber<BarrierResult, BarrierError>>) =>
      Effect.forEach(fibers, (fiber) =>
        Effect.match(joined(backend, fiber), {
          onFailure: (error) => error._tag === "CoordinatorLost" ? `CoordinatorLost ${error.reason}` : error._tag,
          onSuccess: ({ _tag }) => _tag as string
        }))

    for (const standby of [true, false]) {
      const with_ = standby ? "with a standby" : "without a standby"
      const reason = standby ? "CoordinatorLost replaced" : "CoordinatorLost died"
      const swarmOf = (swarm: Parameters<typeof joinAll>[0]) =>
        joinAll(swarm, 4, (index) => ({ standby: standby && index === 1 }))

      const goesOn = Effect.fnUntraced(function*(survivors: ReadonlyArray<TestMember>) {
        if (!standby) {
          const tags = yield* Effect.forEach(survivors, ({ barrier }) => Effect.flip(barrier.enter("after")))
          assert.deepStrictEqual(tags.map(({ _tag }) => _tag), survivors.map(() => "CoordinatorLost" as const))
          return
        }
        const got = yield* collect(at(survivors, 0), Tick)
        yield* at(survivors, 1).messenger.send(Tick, 1)
        const again = yield* joined(backend, yield* fork(enterAll(survivors, "after", { mode: "processingFence" })))
        assert.deepStrictEqual(again.map(({ _tag }) => _tag), ["Satisfied", "Satisfied", "Satisfied"])
        assert.deepStrictEqual(got, [1])
      })

      swarmTest(
        backend,
        `the coordinator dies in phase one, ${with_}: a typed end for all, nothing hangs`,
        (swarm) =>
          Effect.gen(function*() {
            const members = yield* swarmOf(swarm)
            const survivors = members.slice(1)
            const waiting = yield* Effect.forEach(survivors, ({ barrier }) => fork(barrier.enter("b")))
            for (const fiber of waiting) yield* staysWaiting(backend, fiber, 5)
            yield* at(members, 0).kill
            assert.deepStrictEqual(yield* outcomes(waiting), [reason, reason, reason])
            yield* goesOn(survivors)
          })
      )

      swarmTest(
        backend,
        `the coordinator dies in phase two, ${with_}: a typed end for all, nothing hangs`,
        (swarm) =>
          Effect.gen(function*() {
            const members = yield* swarmOf(swarm)
            const survivors = members.slice(1)
            const { begun, gate } = yield* parked(at(members, 0))
            for (const value of [1, 2]) yield* at(members, 2).messenger.send(Tick, value)
            yield* begun
            yield* fork(at(members, 0).barrier.enter("b"))
            const waiting = yield* Effect.forEach(survivors, ({ barrier }) => fork(barrier.enter("b")))
            for (const fiber of waiting) yield* staysWaiting(backend, fiber, 5)
            yield* at(members, 0).kill
            assert.deepStrictEqual(yield* outcomes(waiting), [reason, reason, reason])
            yield* gate.open
            yield* goesOn(survivors)
          })
      )
    }

    swarmTest(
      backend,
      "what the coordinator had released before it died is released for all",
      (swarm) =>
        Effect.gen(function*() {
          const hold: Hold = { held: false }
          const members = yield* joinAll(swarm, 3, (index) => ({
            standby: index === 1,
            ...index === 2 ? { over: holding((name) => name === "coordinator", hold) } : {}
          }))
          hold.held = true
          const slow = yield* fork(at(members, 2).barrier.enter("b"))
          const [first] = yield* joined(backend, yield* fork(enterAll(members.slice(0, 2), "b")))
          yield* at(members, 0).kill
          yield* staysWaiting(backend, slow, 200)
          hold.held = false
          assert.strictEqual((yield* joined(backend, slow)).round, first?.round)
        })
    )

    swarmTest(
      backend,
      "what the coordinator had released before it died counts, though it admitted a member right before",
      (swarm) =>
        Effect.gen(function*() {
          const hold: Hold = { held: false }
          const over = holding((name) => name === "coordinator", hold)
          const members = yield* joinAll(swarm, 3, (index) => index === 2 ? { over } : {})
          hold.held = true
          const slow = yield* fork(at(members, 2).barrier.enter("b"))
          let isAdmitting = false
          at(members, 1).swarmMember.coordinator.onNotice(({ _tag }) => void (isAdmitting ||= _tag === "Admitting"))
          yield* fork(Effect.exit(swarm.join("late")))
          yield* eventually(backend, () => isAdmitting)
          const [first] = yield* joined(backend, yield* fork(enterAll(members.slice(0, 2), "b")))
          yield* at(members, 0).kill
          yield* staysWaiting(backend, slow, 200)
          hold.held = false
          // All check again, and it first finds the messages that it reads.
          yield* Effect.scoped(at(members, 1).ring.openWriter("a bell"))
          assert.strictEqual((yield* joined(backend, slow)).round, first?.round)
        })
    )

    swarmTest(
      backend,
      "an arrival that its sender meant for the dead coordinator does not count for the next one",
      (swarm) =>
        Effect.gen(function*() {
          const hold: Hold = { held: false }
          // This member neither reads nor notices that another is gone.
          const unaware = (ring: RingPorts["Service"]): RingPorts["Service"] => ({
            ...holding((name) => name === "coordinator", hold)(ring),
            lives: () => 0
          })
          const members = yield* joinAll(swarm, 3, (index) => ({
            standby: index === 1,
            ...index === 2 ? { over: unaware, livenessInterval: 60_000 } : {}
          }))
          const standby = at(members, 1)
          hold.held = true
          yield* at(members, 0).kill
          yield* eventuallyCoordinates(standby)
          const early = yield* fork(at(members, 2).barrier.enter("b"))
          yield* staysWaiting(backend, early)
          hold.held = false
          // The messages in the held ring have rung already: send one in another ring, so that the member checks again.
          yield* standby.messenger.send(Tick, 1)
          yield* backend.elapse(1000)
          const error = yield* failedWith(backend, early)
          assert.deepInclude(error, { _tag: "CoordinatorLost", reason: "replaced" })
          const waiting = yield* fork(standby.barrier.enter("b"))
          yield* staysWaiting(backend, waiting)
          yield* at(members, 2).barrier.enter("b")
          yield* joined(backend, waiting)
        })
    )

    swarmTest(
      backend,
      "B9 an arrival whose withdrawal the stopped coordinator finds right behind it completes no round",
      (swarm) =>
        Effect.gen(function*() {
          const hold: Hold = { held: false }
          const over = holding((name) => name.startsWith("control/"), hold)
          const members = yield* joinAll(swarm, 2, (index) => index === 0 ? { over } : {})
          const [first, late] = [at(members, 0), at(members, 1)]
          hold.held = true
          const early = yield* fork(late.barrier.enter("b", { deadline: 100 }))
          yield* backend.elapse(1500)
          assert.deepInclude(yield* failedWith(backend, early), { _tag: "BarrierTimedOut", undecided: true })
          const waiting = yield* fork(first.barrier.enter("b"))
          yield* staysWaiting(backend, waiting)
          hold.held = false
          const again = yield* late.barrier.enter("b")
          assert.strictEqual((yield* joined(backend, waiting)).round, again.round)
        })
    )

    swarmTest(
      backend,
      "fibers of one arrival that enter again when their member was evicted are in one round, and wait for it",
      (swarm) =>
        Effect.gen(function*() {
          const { go, over, stop } = stoppable()
          const members = yield* joinAll(swarm, 2, (index) => index === 1 ? { over } : {})
          const [coordinator, evicted] = [at(members, 0), at(members, 1)]
          let entries = 0
          const enter: Effect.Effect<BarrierResult, BarrierError> = Effect.suspend(() => {
            entries += 1
            if (entries > 100) return Effect.die("they enter again and again")
            return Effect.catchTag(evicted.barrier.enter("b"), "CoordinatorLost", () => enter)
          })
          const waiting = yield* fork(Effect.all([enter, enter], { concurrency: 2 }))
          yield* stop
          yield* joined(backend, yield* fork(chatter(coordinator, 400)))
          yield* go
          yield* eventually(backend, () => entries === 4)
          yield* staysWaiting(backend, waiting)
          const { round } = yield* coordinator.barrier.enter("b")
          assert.deepStrictEqual((yield* joined(backend, waiting)).map((result) => result.round), [round, round])
        })
    )

    swarmTest(
      backend,
      "a standby takes over with all that its predecessor had announced",
      (swarm) =>
        Effect.gen(function*() {
          const hold: Hold = { held: false }
          const members = yield* joinAll(swarm, 3, (index) => ({
            standby: index === 1,
            ...index === 1 ? { over: holding((name) => name === "coordinator", hold) } : {}
          }))
          hold.held = true
          yield* at(members, 2).coordinator.publish("here")
          yield* at(members, 0).kill
          hold.held = false
          // Nothing rings for them: the member checks the coordinator's life before it continues reading.
          yield* eventuallyCoordinates(at(members, 1))
          assert.strictEqual(at(members, 1).coordinator.resolve("here")?.name, "m2")
        })
    )

    swarmTest(
      backend,
      "a coordinator that leaves to its standby ends its rounds typed",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3, (index) => ({ standby: index === 1 }))
          const waiting = yield* Effect.forEach(members.slice(1, 2), ({ barrier }) => fork(barrier.enter("b")))
          yield* backend.elapse(5)
          yield* at(members, 0).close
          assert.deepStrictEqual(yield* outcomes(waiting), ["CoordinatorLost replaced"])
          // A member that has not heard of the successor yet is told to ask again.
          yield* agree(backend, members.slice(1))
          const again = yield* joined(backend, yield* fork(enterAll(members.slice(1), "b")))
          assert.deepStrictEqual(again.map(({ _tag }) => _tag), ["Satisfied", "Satisfied"])
        })
    )

    swarmTest(
      backend,
      "what waits in a coordinator that ends without a standby ends with it",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const waiting = yield* fork(at(members, 0).barrier.enter("b"))
          yield* staysWaiting(backend, waiting)
          yield* at(members, 0).close
          assert.strictEqual((yield* failedWith(backend, waiting))._tag, "ShuttingDown")
        })
    )

    const eventuallyCoordinates = Effect.fnUntraced(function*(member: TestMember) {
      for (let i = 0; i < 500 && !member.coordinator.coordinates(); i += 1) yield* backend.elapse(5)
      assert.isTrue(member.coordinator.coordinates())
    })
  })
}
