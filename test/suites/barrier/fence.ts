/**
 * The trial of delivery fences, in both forms, over members in one process: it passes, and it fails with draining off.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Messenger } from "../../../src/services/Messenger.ts"
import {
  at,
  enterAll,
  eventually,
  fork,
  joinAll,
  joined,
  type SwarmBackend,
  swarmTest,
  type TestSwarm
} from "../../backends/swarm.ts"
import { type FenceForm, type FencePlan, playCollector, playWorker } from "./fenceRun.ts"

const forms: ReadonlyArray<FenceForm> = ["start", "contiguity"]

const Marker = Messenger.event("marker", Schema.Struct({ worker: Schema.Int, iteration: Schema.Int }))

/** The collector is the coordinator, or an ordinary member of a group that the coordinator is not in. */
const play = Effect.fnUntraced(function*(
  swarm: TestSwarm,
  plan: FencePlan,
  options: { readonly drain?: "on" | "off"; readonly coordinatorCollects: boolean }
) {
  const { drain = "on", coordinatorCollects } = options
  const members = yield* joinAll(swarm, plan.workers + (coordinatorCollects ? 1 : 2), () => ({ drain }))
  const players = coordinatorCollects ? members : members.slice(1)
  for (const { coordinator } of players) yield* coordinator.joinGroup(plan.group)
  const [verdict] = yield* joined(
    swarm.backend,
    yield* fork(Effect.all([
      playCollector(at(players, 0), plan),
      ...players.slice(1).map((worker, index) => playWorker(worker, plan, index))
    ], { concurrency: "unbounded" }))
  )
  return verdict
})

export const barrierFenceSuite = (backend: SwarmBackend): void => {
  const sizes = backend.usesTestClock
    ? { iterations: 64, burst: 8, handlerMillis: 12 }
    : { iterations: 16, burst: 8, handlerMillis: 3 }

  describe(`fences and backlogs (${backend.name})`, () => {
    for (const form of forms) {
      const isStart = form === "start"
      for (const mode of ["deliveryFence", "processingFence"] as const) {
        const plan: FencePlan = { form, mode, workers: 2, group: "fence", run: 0, ...sizes }
        const what = isStart ? "with a rendezvous at the start" : "by per-sender contiguity alone"
        const id = mode === "deliveryFence" ? "S10 delivery-fence repro" : "S11 processing backlog"

        for (const coordinatorCollects of [true, false]) {
          swarmTest(
            backend,
            `${id}, ${what}, ${coordinatorCollects ? "at the coordinator" : "at a member"}`,
            (swarm) =>
              Effect.gen(function*() {
                const verdict = yield* play(swarm, plan, { coordinatorCollects })
                const messages = plan.workers * plan.iterations * plan.burst
                assert.deepStrictEqual(verdict, { iterations: plan.iterations, messages, missing: 0, problems: [] })
              })
          )
        }

        swarmTest(
          backend,
          `${id}, ${what}: with draining off, messages are missing`,
          (swarm) =>
            Effect.gen(function*() {
              const verdict = yield* play(swarm, { ...plan, iterations: 8 }, {
                drain: "off",
                coordinatorCollects: true
              })
              assert.isAbove(verdict?.missing ?? 0, 0)
              assert.deepStrictEqual(verdict?.problems, [])
            })
        )
      }
    }

    swarmTest(
      backend,
      "S12 processing fence: it takes as long as a handler elsewhere, and what that handler sends comes",
      (swarm) =>
        Effect.gen(function*() {
          const handlerMillis = backend.usesTestClock ? 300 : 60
          const members = yield* joinAll(swarm, 2)
          const [controller, worker] = [at(members, 0), at(members, 1)]
          let handled = false
          let done = 0
          yield* worker.messenger.subscribe(Marker, (marker) =>
            Effect.gen(function*() {
              yield* Effect.sleep(handlerMillis)
              handled = true
              yield* worker.messenger.send(Marker, { ...marker, iteration: 1 })
            }).pipe(Effect.orDie))
          yield* controller.messenger.subscribe(Marker, () => Effect.sync(() => void (done += 1)))
          yield* controller.messenger.send(Marker, { worker: 0, iteration: 0 })
          const fence = yield* fork(
            Effect.map(enterAll(members, "b", { mode: "processingFence" }), () => handled)
          )
          assert.isTrue(yield* joined(backend, fence))
          yield* eventually(backend, () => done === 1)
        })
    )

    swarmTest(
      backend,
      "S13 barrier_flush: markers of two workers, every iteration, none twice and none left out",
      (swarm) =>
        Effect.gen(function*() {
          const iterations = 128
          const members = yield* joinAll(swarm, 3)
          const [collector, ...workers] = [at(members, 0), at(members, 1), at(members, 2)]
          const seen: Array<Array<number>> = [[], []]
          yield* collector.messenger.subscribe(
            Marker,
            ({ iteration, worker }) => Effect.sync(() => void seen[worker]?.push(iteration))
          )
          const work = (worker: number) =>
            Effect.gen(function*() {
              for (let iteration = 0; iteration < iterations; iteration += 1) {
                yield* at(workers, worker).messenger.send(Marker, { worker, iteration })
                yield* at(workers, worker).barrier.enter("flush")
              }
            })
          const gather = Effect.gen(function*() {
            for (let iteration = 0; iteration < iterations; iteration += 1) {
              yield* collector.barrier.enter("flush")
              const through = Array.from({ length: iteration + 1 }, (_, i) => i)
              for (const markers of seen) assert.deepStrictEqual(markers.slice(0, iteration + 1), through)
            }
          })
          yield* joined(backend, yield* fork(Effect.all([work(0), work(1), gather], { concurrency: "unbounded" })))
          assert.deepStrictEqual(seen.map(({ length }) => length), [iterations, iterations])
        })
    )
  })
}
