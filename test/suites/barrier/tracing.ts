/**
 * The trace events of fences, one for each target.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { BarrierTrace } from "../../../src/layers/Swarm.ts"
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
  type TestSwarm
} from "../../backends/swarm.ts"
import { parked, Tick } from "../../faults/parked.ts"

/** Two members, of which only the coordinator traces. */
const traced = Effect.fnUntraced(function*(swarm: TestSwarm, options: { readonly drain?: "off" } = {}) {
  const events: Array<BarrierTrace> = []
  const trace = (event: BarrierTrace) => void events.push(event)
  const members = yield* joinAll(swarm, 2, (index) => ({ ...options, ...index === 0 ? { trace } : {} }))
  return { events, coordinator: at(members, 0), member: at(members, 1), members }
})

export const barrierTracingSuite = (backend: SwarmBackend): void => {
  describe(`traces of barriers (${backend.name})`, () => {
    swarmTest(
      backend,
      "a delivery fence tells of each target where the reader was, what lay between, and what came",
      (swarm) =>
        Effect.gen(function*() {
          const { coordinator, events, member, members } = yield* traced(swarm)
          const { begun, gate } = yield* parked(coordinator)
          yield* member.messenger.send(Tick, 0)
          yield* begun
          const { position: from, ring } = member.swarmMember.mesh.target()
          // The `delivered` cursor is published at the end of the turn in which the handler began.
          yield* eventually(backend, () => coordinator.swarmMember.mesh.source(ring)?.position("delivered") === from)
          for (const value of [1, 2, 3]) yield* member.messenger.send(Tick, value)
          const { position } = member.swarmMember.mesh.target()
          const fence = yield* fork(enterAll(members, "b"))
          yield* staysWaiting(backend, fence)
          assert.deepStrictEqual(events.filter((event) => event.ring === ring), [])
          yield* gate.open
          const { round, term } = at(yield* joined(backend, fence), 0)
          const of = {
            term,
            round,
            name: "b",
            mode: "deliveryFence",
            member: coordinator.id,
            ring,
            target: position
          } as const
          const [waited, found] = events.filter((event) => event.ring === ring)
          assert.deepStrictEqual(waited, {
            ...of,
            side: "coordinator",
            observed: from,
            reached: position,
            backlogBefore: position - from,
            backlogAfter: 0,
            messages: 3
          })
          // The coordinator as a member had reached the target by then.
          assert.deepInclude(found, { ...of, side: "member", backlogBefore: 0, backlogAfter: 0, messages: 0 })
        })
    )

    swarmTest(
      backend,
      "a processing fence tells how far the last of all members was",
      (swarm) =>
        Effect.gen(function*() {
          const { coordinator, events, member, members } = yield* traced(swarm)
          const { begun, gate } = yield* parked(member)
          const from = coordinator.swarmMember.mesh.target().position
          for (const value of [1, 2]) yield* coordinator.messenger.send(Tick, value)
          yield* begun
          const { position, ring } = coordinator.swarmMember.mesh.target()
          const mode = "processingFence"
          const fence = yield* fork(enterAll(members, "b", { mode }))
          yield* staysWaiting(backend, fence)
          yield* gate.open
          const round = at(yield* joined(backend, fence), 0).round
          const of = { round, name: "b", mode, member: coordinator.id, ring, target: position } as const
          const [waited, found] = events.filter((event) => event.ring === ring)
          assert.deepInclude(waited, {
            ...of,
            side: "coordinator",
            observed: from,
            reached: position,
            backlogBefore: position - from,
            backlogAfter: 0
          })
          assert.deepInclude(found, { ...of, side: "member", backlogBefore: 0, backlogAfter: 0 })
        })
    )

    swarmTest(
      backend,
      "a processing fence counts what is delivered in the coordinator meanwhile",
      (swarm) =>
        Effect.gen(function*() {
          const { coordinator, events, member, members } = yield* traced(swarm)
          const { begun, gate } = yield* parked(coordinator)
          for (const value of [1, 2, 3]) yield* member.messenger.send(Tick, value)
          yield* begun
          const { ring } = member.swarmMember.mesh.target()
          const fence = yield* fork(enterAll(members, "b", { mode: "processingFence" }))
          yield* staysWaiting(backend, fence)
          yield* gate.open
          yield* joined(backend, fence)
          const waited = events.find((event) => event.ring === ring && event.side === "coordinator")
          // The first one's handler had begun before.
          assert.strictEqual(waited?.messages, 2)
        })
    )

    swarmTest(
      backend,
      "each event has the number of its round, one for each target on either side",
      (swarm) =>
        Effect.gen(function*() {
          const { events, members } = yield* traced(swarm)
          const rounds: Array<number> = []
          for (const mode of ["deliveryFence", "processingFence", "deliveryFence"] as const) {
            for (const { messenger } of members) yield* messenger.send(Tick, 1)
            const results = yield* joined(backend, yield* fork(enterAll(members, "again", { mode })))
            rounds.push(at(results, 0).round)
          }
          const rings = members.map(({ swarmMember }) => swarmMember.mesh.target().ring)
          const key = (round: number, side: string, ring: number) => `${round} ${side} ${ring}`
          assert.sameMembers(
            events.map(({ ring, round, side }) => key(round, side, ring)),
            rounds.flatMap((round) =>
              ["coordinator", "member"].flatMap((side) => rings.map((ring) => key(round, side, ring)))
            )
          )
        })
    )

    swarmTest(backend, "a rendezvous has no targets", (swarm) =>
      Effect.gen(function*() {
        const { events, member, members } = yield* traced(swarm)
        yield* member.messenger.send(Tick, 1)
        yield* enterAll(members, "b", { mode: "rendezvous" })
        assert.deepStrictEqual(events, [])
      }))

    swarmTest(backend, "without draining no fence waits for a target", (swarm) =>
      Effect.gen(function*() {
        const { events, member, members } = yield* traced(swarm, { drain: "off" })
        yield* member.messenger.send(Tick, 1)
        for (const mode of ["deliveryFence", "processingFence"] as const) yield* enterAll(members, "b", { mode })
        assert.deepStrictEqual(events, [])
      }))

    swarmTest(backend, "a tracer that throws at each event disturbs no round", (swarm) =>
      Effect.gen(function*() {
        let told = 0
        const trace = () => {
          told += 1
          throw new Error("no room for traces")
        }
        const members = yield* joinAll(swarm, 2, () => ({ trace }))
        for (const mode of ["deliveryFence", "processingFence"] as const) {
          yield* at(members, 1).messenger.send(Tick, 1)
          const results = yield* joined(backend, yield* fork(enterAll(members, "b", { mode, deadline: 500 })))
          assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied"])
        }
        assert.isAbove(told, 0)
      }))
  })
}
