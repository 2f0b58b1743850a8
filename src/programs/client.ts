/**
 * A command as a client of a log that another process serves.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as CxlMemory from "../layers/CxlMemory.ts"
import * as Log from "../layers/Log.ts"
import { Diagnostics } from "../services/Diagnostics.ts"
import { pathOf, type Target } from "./target.ts"

/** Runs the work attached to the region, once its log is served. */
export const asClient = <A, E, R>(
  target: Target,
  processName: string,
  work: Effect.Effect<A, E, R | Scope.Scope>
) =>
  served(target).pipe(
    Effect.andThen(work),
    Effect.scoped,
    Effect.provide(Log.layerClient.pipe(Layer.provideMerge(CxlMemory.layerAttach({ ...target, processName }))))
  )

// --- internal ---

const lookMillis = 10
const looks = 200

// A region is there a moment before its log is served. One that a killed server left is there and never served: the
// creator's place, the first, is empty then.
const served = Effect.fnUntraced(function*(target: Target) {
  const { info, processes } = yield* CxlMemory.CxlMemory
  const { snapshot } = yield* Diagnostics
  const creatorLives = Effect.map(
    processes,
    (all) => all.some(({ alive, slot }) => slot === 0 && alive)
  )
  yield* Effect.filterOrFail(
    snapshot,
    ({ serving }) => serving,
    () =>
      new CxlMemory.RegionError({
        fault: "notServing",
        region: info.name,
        detail: `nobody serves the log in ${pathOf(target)}`,
        hint: ""
      })
  ).pipe(Effect.retry({ while: () => creatorLives, schedule: Schedule.spaced(lookMillis), times: looks }))
})
