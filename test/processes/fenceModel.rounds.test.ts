/**
 * Random histories of fences over real processes, which are killed at random points: messages sent before an arrival
 * have arrived when a fence returns.
 *
 * The seed is printed; `RINGFENCE_SEED` runs from another one, `RINGFENCE_RUNS` more or fewer. A seed reproduces the
 * choices, not the timing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { rmSync } from "node:fs"
import type { Fault } from "../model/faults.ts"
import { histories } from "../rounds.ts"
import { type Counts, type History, playRuns, Pool, poolSize } from "./fenceMembers.ts"
import { freshRegion } from "./harness.ts"
import { filesOf } from "./members.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000)
const runs = histories(20, 100)

/** Runs in one swarm, before another is begun. */
const runsOfSwarm = 25

/** Plays the runs in a swarm of their own, which must leave nothing in shared memory. */
const inSwarm = (pool: Pool, fault: Fault, from: number, count: number) => {
  const region = freshRegion("fences")
  const remove = Effect.sync(() => filesOf(region).forEach((name) => rmSync(`/dev/shm/${name}`)))
  return Effect.scoped(playRuns({ region, fault, pool }, from, count)).pipe(
    Effect.tap(() => Effect.sync(() => assert.deepStrictEqual(filesOf(region), []))),
    Effect.ensuring(remove)
  )
}

const pooled = Effect.tap(Pool.make, (pool) => Effect.sync(() => pool.restock(poolSize)))

const totalOf = (histories: ReadonlyArray<History>, of: keyof Counts): number =>
  histories.reduce((total, { counts }) => total + counts[of], 0)

describe.skipIf(process.platform !== "linux")(`random fences over real processes (seed ${seed})`, () => {
  it.live(
    `${runs} runs: nothing that was sent before an arrival comes after the fence`,
    () =>
      Effect.scoped(Effect.gen(function*() {
        const pool = yield* pooled
        const played: Array<History> = []
        for (let from = 0; from < runs; from += runsOfSwarm) {
          const history = yield* inSwarm(pool, "none", seed + from, Math.min(runsOfSwarm, runs - from))
          assert.deepStrictEqual(history.violations, [], `runs from ${seed + from}`)
          played.push(history)
        }
        const total = (of: keyof Counts) => totalOf(played, of)
        console.info(
          `${runs} runs: ${total("returns")} fences, ${total("checked")} messages looked for, ` +
            `${total("killed")} killed, ${total("left")} left, ${total("joined")} joined`
        )
        // The checker has checked enough fences.
        assert.isAbove(total("returns"), runs * 5)
        assert.isAbove(total("checked"), runs * 50)
        assert.isAbove(total("killed"), runs / 4)
      })),
    180_000
  )

  it.live("finds the planted fault: draining off", () =>
    Effect.scoped(Effect.gen(function*() {
      const pool = yield* pooled
      const { violations } = yield* inSwarm(pool, "draining off", seed, 4)
      assert.isNotEmpty(violations)
      console.info(`draining off: ${violations[0]}`)
    })), 60_000)
})
