/**
 * Measures groups under one placement of the cores. The two cores of a virtual machine may move near each other or far
 * apart within seconds, which changes every figure severalfold. So each group is measured between two probes that
 * agree, and labelled with the placement.
 */
import * as Effect from "effect/Effect"
import type { RegionError } from "../../src/services/schema/RegionError.ts"
import * as Machine from "./Machine.ts"

export type Placement = "near" | "far"

export interface Placed<A> {
  /**
   * `flipped`: the placement changed in every attempt, so the values must not be compared; `any`: it was not looked at, because
   * the disk bounds these values, and not the way between the cores.
   */
  readonly placement: Placement | "any" | "flipped"
  /** Round trips of one cache line before, between and after, in microseconds. */
  readonly probesMicros: ReadonlyArray<number>
  readonly attempts: number
  readonly values: ReadonlyArray<A>
}

/** One of several measurements; it may depend on the results of those before it. */
export type Measurement<A, E, R> = (before: ReadonlyArray<A>) => Effect.Effect<A, E, R>

/** Runs all measurements back to back, and again from the first if the placement changed meanwhile. */
export const together = Effect.fnUntraced(function*<A, E, R>(
  measurements: ReadonlyArray<Measurement<A, E, R>>,
  attemptsMax = 4
): Effect.fn.Return<Placed<A>, E | RegionError, R> {
  for (let attempts = 1;; attempts += 1) {
    const probesMicros = [yield* Machine.lineRoundTripMicros]
    const values: Array<A> = []
    for (const measurement of measurements) {
      values.push(yield* measurement(values))
      probesMicros.push(yield* Machine.lineRoundTripMicros)
    }
    const placements = new Set(probesMicros.map(placementOf))
    const [placement] = placements
    if (placements.size === 1 && placement !== undefined) return { placement, probesMicros, attempts, values }
    if (attempts === attemptsMax) return { placement: "flipped", probesMicros, attempts, values }
  }
})

/** Runs all measurements back to back, once, wherever the cores are. */
export const anyhow = Effect.fnUntraced(function*<A, E, R>(
  measurements: ReadonlyArray<Measurement<A, E, R>>
): Effect.fn.Return<Placed<A>, E, R> {
  const values: Array<A> = []
  for (const measurement of measurements) values.push(yield* measurement(values))
  return { placement: "any", probesMicros: [], attempts: 1, values }
})

// --- internal ---

/** Round trips took 0.03 to 0.1 microseconds where cores are near each other, and 0.2 to 0.5 where they are far. */
const farMicros = 0.15

const placementOf = (micros: number): Placement => micros < farMicros ? "near" : "far"
