/**
 * One member's part in many rounds of a few names, each reused at once.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Barrier } from "../../../src/services/Barrier.ts"
import type { BarrierMode } from "../../../src/services/schema/BarrierArrival.ts"

export interface WalkPlan {
  readonly iterations: number
  /** The member's index: members do not pause at the same time. */
  readonly index: number
}

const modes: ReadonlyArray<BarrierMode> = ["rendezvous", "deliveryFence", "processingFence"]

const namesOf = (iteration: number): ReadonlyArray<string> => [
  "reuse",
  "other",
  "reuse",
  ...iteration % 16 === 0 ? ["bonus"] : [],
  ...iteration % 32 === 0 ? ["bonus", "reuse"] : []
]

/** The rounds that it was in, in order. Fails if a name's rounds do not rise. */
export const walkRounds = Effect.fnUntraced(
  function*({ enter }: Barrier["Service"], { index, iterations }: WalkPlan, pause: Effect.Effect<void>) {
    const rounds: Array<string> = []
    const last = new Map<string, number>()
    for (let iteration = 0; iteration < iterations; iteration += 1) {
      for (const name of namesOf(iteration)) {
        const { _tag, round } = yield* enter(name, { mode: modes[iteration % 3] })
        assert.strictEqual(_tag, "Satisfied")
        assert.isAbove(round, last.get(name) ?? 0)
        last.set(name, round)
        rounds.push(`${name} ${round}`)
      }
      if ((iteration + index) % 3 === 0) yield* pause
    }
    return rounds
  }
)
