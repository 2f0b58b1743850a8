/**
 * Fences that are entered from within handlers, and choreographies of many members.
 */
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import type { BarrierResult } from "../../../src/services/Barrier.ts"
import { Messenger } from "../../../src/services/Messenger.ts"
import type { BarrierMode } from "../../../src/services/schema/BarrierArrival.ts"
import {
  at,
  enterAll,
  eventually,
  fork,
  joinAll,
  joined,
  type SwarmBackend,
  swarmTest,
  type TestMember
} from "../../backends/swarm.ts"
import { collect } from "../messenger/delivery.ts"

const Call = Messenger.event("call", Schema.Int)
const Tick = Messenger.event("tick", Schema.Int)

const fences: ReadonlyArray<BarrierMode> = ["deliveryFence", "processingFence"]

/** Lets the member's handler of calls enter the fence once that many handlers have begun. */
const fencesWithin = Effect.fnUntraced(
  function*(member: TestMember, mode: BarrierMode, inside: () => Effect.Effect<void>) {
    const result = yield* Deferred.make<BarrierResult, unknown>()
    yield* member.messenger.subscribe(Call, () =>
      inside().pipe(
        Effect.andThen(member.barrier.enter("within", { mode, deadline: "10 seconds" })),
        (entering) => Deferred.complete(result, entering)
      ))
    return Deferred.await(result)
  }
)

/** An effect that returns once that many fibers have called it. */
const meeting = (count: number) => {
  const all = Latch.makeUnsafe(false)
  let inside = 0
  return () =>
    Effect.suspend(() => {
      inside += 1
      if (inside === count) all.openUnsafe()
      return all.await
    })
}

const exemptOf = (result: BarrierResult) => result.exempt.map(({ member, ring }) => `${member.slot} ${ring}`).toSorted()

export const barrierHandlersSuite = (backend: SwarmBackend): void => {
  describe(`fences from within handlers (${backend.name})`, () => {
    for (const mode of fences) {
      swarmTest(
        backend,
        `S17 two handler fences at once, of one sender's stream: both return (${mode})`,
        (swarm) =>
          Effect.gen(function*() {
            const members = yield* joinAll(swarm, 3)
            const caller = at(members, 2)
            const inside = meeting(2)
            const results = yield* Effect.forEach(members.slice(0, 2), (member) => fencesWithin(member, mode, inside))
            const behind = yield* collect(at(members, 1), Tick)
            yield* caller.messenger.send(Call, 1)
            yield* caller.messenger.send(Tick, 2)
            const outer = yield* fork(caller.barrier.enter("within", { mode, deadline: "10 seconds" }))
            const all = [...yield* joined(backend, yield* fork(Effect.all(results))), yield* joined(backend, outer)]
            const { ring } = caller.swarmMember.mesh.target()
            const exempt = members.slice(0, 2).map(({ id }) => `${id.slot} ${ring}`)
            for (const result of all) {
              assert.strictEqual(result._tag, "Satisfied")
              assert.deepStrictEqual(exemptOf(result), exempt)
            }
            yield* eventually(backend, () => behind.length === 1)
          })
      )

      swarmTest(
        backend,
        `S17 two members fence from within the handlers of each other's messages (${mode})`,
        (swarm) =>
          Effect.gen(function*() {
            const members = yield* joinAll(swarm, 3)
            const [one, two, three] = [at(members, 0), at(members, 1), at(members, 2)]
            const inside = meeting(2)
            const results = yield* Effect.forEach([one, two], (member) => fencesWithin(member, mode, inside))
            const ticks = yield* Effect.forEach([one, two], (member) => collect(member, Tick))
            yield* one.messenger.send(Call, 1, { member: two.id })
            yield* two.messenger.send(Call, 1, { member: one.id })
            for (let value = 0; value < 5; value += 1) yield* three.messenger.send(Tick, value)
            const outer = yield* fork(three.barrier.enter("within", { mode, deadline: "10 seconds" }))
            const all = yield* fork(Effect.all(results))
            // the streams without an exemption are drained
            const [first] = yield* joined(backend, all)
            for (const values of ticks) assert.deepStrictEqual(values, [0, 1, 2, 3, 4])
            assert.strictEqual(first?._tag, "Satisfied")
            assert.strictEqual((yield* joined(backend, outer)).exempt.length, 2)
          })
      )
    }

    swarmTest(
      backend,
      "a fiber beside the handler merges with its fence, and the result says what is exempt",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const [one, two] = [at(members, 0), at(members, 1)]
          const entered = yield* Deferred.make<void>()
          const within = yield* fencesWithin(
            one,
            "processingFence",
            () => Deferred.succeed(entered, undefined).pipe(Effect.asVoid)
          )
          yield* two.messenger.send(Call, 1)
          yield* Deferred.await(entered)
          const options = { mode: "processingFence", deadline: "5 seconds" } as const
          const beside = yield* fork(one.barrier.enter("within", options))
          const other = yield* fork(two.barrier.enter("within", options))
          const results = [yield* joined(backend, beside), yield* within, yield* joined(backend, other)]
          assert.strictEqual(new Set(results.map(({ round }) => round)).size, 1)
          for (const result of results) {
            assert.deepStrictEqual(exemptOf(result), [`${one.id.slot} ${two.swarmMember.mesh.target().ring}`])
          }
        })
    )

    swarmTest(
      backend,
      "once the handler has ended, a fiber that it left behind fences like any other",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const [one, two] = [at(members, 0), at(members, 1)]
          const scope = yield* Effect.scope
          const go = yield* Latch.make(false)
          const result = yield* Deferred.make<BarrierResult, unknown>()
          yield* one.messenger.subscribe(Call, () =>
            go.await.pipe(
              Effect.andThen(one.barrier.enter("after", { deadline: "5 seconds" })),
              (entering) => Deferred.complete(result, entering),
              Effect.forkIn(scope)
            ))
          yield* two.messenger.send(Call, 1)
          yield* enterAll(members, "handled", { mode: "processingFence" })
          yield* go.open
          const other = yield* fork(two.barrier.enter("after"))
          yield* joined(backend, other)
          assert.deepStrictEqual((yield* Deferred.await(result)).exempt, [])
        })
    )

    swarmTest(
      backend,
      "a fence from within a handler that no other member enters ends at its deadline, and the stream goes on",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const outcomes: Array<string> = []
          const { barrier, messenger } = at(members, 0)
          yield* messenger.subscribe(Call, () =>
            barrier.enter("alone", { deadline: 40 }).pipe(
              Effect.match({ onFailure: ({ _tag }) => _tag, onSuccess: ({ _tag }) => _tag }),
              Effect.map((tag) => void outcomes.push(tag))
            ))
          for (const value of [1, 2]) yield* at(members, 1).messenger.send(Call, value)
          yield* eventually(backend, () => outcomes.length === 2)
          assert.deepStrictEqual(outcomes, ["BarrierTimedOut", "BarrierTimedOut"])
        })
    )
  })

  describe(`choreographies (${backend.name})`, () => {
    swarmTest(
      backend,
      "S19 pathological: every report and every line of noise is there, after each of 6 iterations",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 5)
          const controller = at(members, 0)
          const reports = new Map<string, number>()
          yield* controller.messenger.subscribe(Report, ({ iteration, moment, step }) => {
            const key = `${iteration} ${step} ${moment}`
            reports.set(key, (reports.get(key) ?? 0) + 1)
            return Effect.void
          })
          const heard = yield* Effect.forEach(members, (member) => collect(member, Noise))
          const all = Effect.forEach(members, (member, index) =>
            index === 0
              ? control(member, (iteration) => {
                for (let step = 0; step < steps; step += 1) {
                  for (const moment of moments) assert.strictEqual(reports.get(`${iteration} ${step} ${moment}`), 4)
                }
                for (const [listener, lines] of heard.entries()) {
                  const expected = noiseFor(listener, iteration)
                  assert.deepStrictEqual(lines.filter((line) => line.iteration === iteration).length, expected)
                }
              })
              : disturb(member, index, members), { concurrency: "unbounded" })
          yield* joined(backend, yield* fork(all))
          assert.strictEqual(reports.size, iterations * steps * moments.length)
        })
    )

    swarmTest(
      backend,
      "S20 extreme: 7 members, 4 phases, each member fences from within its handler",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 7)
          const [aggregator, , , , , monitor] = members
          if (aggregator === undefined || monitor === undefined) return
          const acks = phases.map(() => 0)
          const beats: Array<string> = []
          const passed = members.map(() => phases.map(() => Latch.makeUnsafe(false)))
          const failures: Array<string> = []
          yield* monitor.messenger.subscribe(
            Beat,
            ({ member, phase }) => Effect.sync(() => void beats.push(`${member} ${phase}`))
          )
          yield* aggregator.messenger.subscribe(Ack, ({ phase }) =>
            Effect.suspend(() => {
              acks[phase] = (acks[phase] ?? 0) + 1
              return acks[phase] === totalOf(phase) ? aggregator.messenger.send(Fence, phase, "world") : Effect.void
            }))
          for (const [parity, consumer] of members.slice(3, 5).entries()) {
            yield* consumer.messenger.subscribe(
              Work,
              ({ n, phase }) =>
                n % 2 === parity ? consumer.messenger.send(Ack, { phase }, { member: aggregator.id }) : Effect.void
            )
          }
          for (const [index, member] of members.entries()) {
            yield* member.messenger.subscribe(Fence, (phase) =>
              Effect.gen(function*() {
                const result = yield* member.barrier.enter(`phase ${phase}`, {
                  mode: "processingFence",
                  deadline: "15 seconds"
                })
                if (result._tag !== "Satisfied" || result.exempt.length !== members.length) {
                  failures.push(`${index} ${phase} ${result._tag}`)
                }
                if (acks[phase] !== totalOf(phase)) failures.push(`${index} ${phase} saw ${acks[phase]}`)
                yield* member.messenger.send(Beat, { member: index, phase }, { member: monitor.id })
                passed[index]?.[phase]?.openUnsafe()
              }))
          }
          const produce = (producer: TestMember, index: number) =>
            Effect.gen(function*() {
              for (const [phase, counts] of phases.entries()) {
                for (let n = 0; n < at(counts, index); n += 1) yield* producer.messenger.send(Work, { phase, n })
                yield* at(at(passed, index + 1), phase).await
              }
            })
          const producing = yield* fork(Effect.forEach(members.slice(1, 3), produce, { concurrency: "unbounded" }))
          yield* joined(backend, producing)
          for (const latches of passed) yield* joined(backend, yield* fork(at(latches, phases.length - 1).await))
          yield* eventually(backend, () => beats.length === members.length * phases.length)
          assert.deepStrictEqual(failures, [])
          assert.deepStrictEqual(acks, phases.map((_, phase) => totalOf(phase)))
          for (const index of members.keys()) {
            const own = beats.filter((beat) => beat.startsWith(`${index} `))
            assert.deepStrictEqual(own, phases.map((_, phase) => `${index} ${phase}`))
          }
        }),
      { members: 10 }
    )
  })
}

// --- S19 ---

const iterations = 6
const steps = 5
const moments = ["before", "after"] as const

const Report = Messenger.event(
  "report",
  Schema.Struct({ iteration: Schema.Int, step: Schema.Int, moment: Schema.Literals(moments) })
)
const Noise = Messenger.event("noise", Schema.Struct({ iteration: Schema.Int, worker: Schema.Int, line: Schema.Int }))

const targetOf = (worker: number, iteration: number, step: number): number => (worker + iteration * 2 + step) % 5
const linesOf = (worker: number, iteration: number, step: number): number => 1 + (worker * 3 + iteration + step) % 4

const noiseFor = (listener: number, iteration: number): number => {
  let lines = 0
  for (let worker = 1; worker <= 4; worker += 1) {
    for (let step = 0; step < steps; step += 1) {
      if (targetOf(worker, iteration, step) === listener) lines += linesOf(worker, iteration, step)
    }
  }
  return lines
}

const finals = (iteration: number): ReadonlyArray<string> => {
  const names = ["final a", "final b", "final c", "final d"]
  return iteration % 2 === 0 ? names : names.toReversed()
}

const control = Effect.fnUntraced(function*({ barrier }: TestMember, check: (iteration: number) => void) {
  for (let iteration = 0; iteration < iterations; iteration += 1) {
    yield* barrier.enter("pre", { mode: "rendezvous" })
    for (let step = 0; step < steps; step += 1) yield* barrier.enter("step")
    yield* barrier.enter("noise", { mode: "processingFence" })
    for (const name of finals(iteration)) yield* barrier.enter(name, { mode: "rendezvous" })
    yield* barrier.enter("end", { mode: "processingFence" })
    check(iteration)
  }
})

const disturb = Effect.fnUntraced(function*(
  { barrier, messenger }: TestMember,
  worker: number,
  members: ReadonlyArray<TestMember>
) {
  const controller = { member: at(members, 0).id }
  for (let iteration = 0; iteration < iterations; iteration += 1) {
    yield* barrier.enter("pre", { mode: "rendezvous" })
    for (let step = 0; step < steps; step += 1) {
      yield* messenger.send(Report, { iteration, step, moment: "before" as const }, controller)
      const to = { member: at(members, targetOf(worker, iteration, step)).id }
      for (let line = 0; line < linesOf(worker, iteration, step); line += 1) {
        yield* messenger.send(Noise, { iteration, worker, line }, to)
      }
      yield* barrier.enter("step")
      yield* messenger.send(Report, { iteration, step, moment: "after" as const }, controller)
    }
    yield* barrier.enter("noise", { mode: "processingFence" })
    for (const name of finals(iteration)) yield* barrier.enter(name, { mode: "rendezvous" })
    yield* barrier.enter("end", { mode: "processingFence" })
  }
})

// --- S20 ---

/** What each of the two producers sends in each phase. */
const phases: ReadonlyArray<readonly [number, number]> = [[9, 7], [6, 13], [11, 5], [8, 10]]

const totalOf = (phase: number): number => at(phases, phase)[0] + at(phases, phase)[1]

const Work = Messenger.event("work", Schema.Struct({ phase: Schema.Int, n: Schema.Int }))
const Ack = Messenger.event("ack", Schema.Struct({ phase: Schema.Int }))
const Fence = Messenger.event("fence", Schema.Int)
const Beat = Messenger.event("beat", Schema.Struct({ member: Schema.Int, phase: Schema.Int }))
