/**
 * The trial of fences over real processes, in both forms: it passes, and it fails with draining off.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { FencePlan, FenceVerdict } from "../suites/barrier/fenceRun.ts"
import { coordinator, member, type MemberActor, regionTest } from "./members.ts"

const group = "fence"
const workers = 2

/** The collector and its workers, one process each. If a member collects, the coordinator is one more. */
const started = Effect.fnUntraced(function*(region: string, at: "coordinator" | "member", drain: "on" | "off") {
  const first = yield* coordinator(region, "m0", { drain })
  const names = Array.from({ length: workers + (at === "coordinator" ? 0 : 1) }, (_, i) => `m${i + 1}`)
  const others = yield* Effect.forEach(names, (name) => member(region, name, { drain }))
  const players = at === "coordinator" ? [first, ...others] : others
  for (const player of players) yield* player.do({ _tag: "joinGroup", group })
  const end = Effect.forEach([...others, first], (actor) => actor.end)
  return { players, end }
})

/** Plays the trial, and returns the findings of the collector, the first player. */
const play = (players: ReadonlyArray<MemberActor>, plan: FencePlan) =>
  Effect.map(
    Effect.forEach(
      players,
      (player, i) => player.do<FenceVerdict>({ _tag: "fence", plan, ...i === 0 ? {} : { worker: i - 1 } }),
      { concurrency: "unbounded" }
    ),
    ([verdict]) => verdict as FenceVerdict
  )

const plansOf = (mode: FencePlan["mode"], iterations: number): ReadonlyArray<FencePlan> =>
  (["start", "contiguity"] as const).map((form, run) => ({
    form,
    mode,
    workers,
    iterations,
    burst: 8,
    handlerMillis: 2,
    group,
    run
  }))

describe.skipIf(process.platform !== "linux")("fences and backlogs over real processes", () => {
  for (const mode of ["deliveryFence", "processingFence"] as const) {
    const id = mode === "deliveryFence" ? "S10 delivery-fence repro" : "S11 processing backlog"

    for (const at of ["coordinator", "member"] as const) {
      regionTest(
        `${id}, in both forms, at ${at === "member" ? "a" : "the"} ${at}: nothing is missing`,
        (region) =>
          Effect.gen(function*() {
            const { end, players } = yield* started(region, at, "on")
            for (const plan of plansOf(mode, 32)) {
              const { burst, form, iterations } = plan
              const expected: FenceVerdict = {
                iterations,
                messages: workers * iterations * burst,
                missing: 0,
                problems: []
              }
              assert.deepStrictEqual(yield* play(players, plan), expected, form)
            }
            yield* end
          })
      )
    }

    regionTest(`${id}, in both forms, with draining off: messages are missing`, (region) =>
      Effect.gen(function*() {
        const { end, players } = yield* started(region, "coordinator", "off")
        for (const plan of plansOf(mode, 8)) {
          const { missing, problems } = yield* play(players, plan)
          assert.isAbove(missing, 0, plan.form)
          assert.deepStrictEqual(problems, [], plan.form)
        }
        yield* end
      }))
  }
})
