/**
 * A round on its own, with a drain that the test opens: changes while it drains, in every order within one turn.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import { Round, runRound } from "../../src/layers/swarm/barrier/BarrierRound.ts"
import type { Drain } from "../../src/layers/swarm/barrier/Drain.ts"
import type { Notice } from "../../src/layers/swarm/control/ControlCodec.ts"
import type { NoticeWriter } from "../../src/layers/swarm/control/NoticeWriter.ts"
import type { BarrierArrival } from "../../src/services/schema/BarrierArrival.ts"
import type { MemberId } from "../../src/services/schema/Member.ts"

const member = (slot: number): MemberId => ({ slot, generation: 1 })

const arrival = (slot: number): BarrierArrival => ({
  name: "meet",
  group: "all",
  mode: "deliveryFence",
  epoch: 1,
  attempt: 1,
  amendment: 0,
  deadlineMillis: 1000,
  drainTargets: [{ ring: slot, generation: 1, position: 56 }],
  exempt: []
})

const start = Effect.gen(function*() {
  const drained = yield* Latch.make(false)
  const notices: Array<Notice> = []
  const drain: Pick<Drain, "here"> = {
    here: (_of, _targets, _cursor, orElse) => Effect.raceFirst(Effect.as(drained.await, []), orElse)
  }
  const writer: Pick<NoticeWriter, "toAll"> = { toAll: (notice) => void notices.push(notice) }
  const round = new Round({ id: 1, name: "meet", group: "all", mode: "deliveryFence" }, [1, 2, 3].map(member))
  const hear = () => {}
  const parts = { drain: drain as Drain, notices: writer as NoticeWriter, self: member(1), term: 1, drains: true, hear }
  const running = yield* Effect.forkChild(runRound(round, parts), { startImmediately: true })
  return { drained, notices, round, running }
})

/** Lets every fiber run until it waits. */
const turns = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

describe("a round's second phase", () => {
  it.effect("is not over because the coordinator looks again at a change that it has taken in", () =>
    Effect.gen(function*() {
      const { drained, notices, round, running } = yield* start
      for (const slot of [3, 1, 2]) round.arrive(member(slot), arrival(slot))
      // One turn of the coordinator: it notes the death of a member that had arrived, and the arrivals that it has
      // read.
      round.depart(member(3))
      round.advance()
      yield* turns
      round.advance()
      yield* turns
      assert.deepStrictEqual(notices, [])
      yield* drained.open
      yield* Fiber.join(running)
      assert.deepStrictEqual(notices.map(({ _tag }) => _tag), ["Released"])
    }))

  it.effect("begins again with each departure, and ends with the targets of the departed", () =>
    Effect.gen(function*() {
      const { drained, notices, round, running } = yield* start
      for (const slot of [1, 2, 3]) {
        round.arrive(member(slot), arrival(slot))
        round.advance()
      }
      for (const slot of [2, 3]) {
        round.depart(member(slot))
        round.advance()
        yield* turns
        assert.deepStrictEqual(notices, [])
      }
      yield* drained.open
      yield* Fiber.join(running)
      const [released] = notices
      assert(released?._tag === "Released")
      assert.sameMembers(released.targets.map(({ ring }) => ring), [1, 2, 3])
      assert.deepStrictEqual(released.departed, [member(2), member(3)])
    }))
})
