/**
 * Runs a command as a client of a log that another process serves.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as CxlMemory from "../../layers/CxlMemory.ts"
import * as Log from "../../layers/Log.ts"
import { useOf } from "../../layers/Regions.ts"
import { Diagnostics } from "../../services/Diagnostics.ts"
import { unanswered } from "../../services/schema/Server.ts"
import { flagsTo, pathOf, type Target } from "./target.ts"

/**
 * Attaches to the region and runs the work once its log is served. Waits for that at most two seconds, or the deadline
 * if it is shorter.
 */
export const asClient = <A, E, R>(
  target: Target,
  options: { readonly processName: string; readonly allowForeign: boolean },
  work: Effect.Effect<A, E, R | Scope.Scope>,
  deadlineMillis = Infinity
) =>
  served(target, Math.min(deadlineMillis, startMillis)).pipe(
    Effect.andThen(work),
    Effect.scoped,
    Effect.provide(Log.layerClient.pipe(Layer.provideMerge(CxlMemory.layerAttach({ ...target, ...options }))))
  )

// --- internal ---

const lookMillis = 10

/** How long a server may take from the creation of the region until it serves. */
const startMillis = 2000

// A region exists for a moment before its log is served: wait for that. The region of a killed server is never served:
// fail at once when slot 0, the creator's, is empty.
const served = Effect.fnUntraced(function*(target: Target, withinMillis: number) {
  const { info, processes } = yield* CxlMemory.CxlMemory
  const { snapshot } = yield* Diagnostics
  const creator = Effect.map(processes, (all) => all.find(({ alive, slot }) => slot === 0 && alive))
  const refusal = (detail: string, hint: string, fault: CxlMemory.RegionFault) =>
    Effect.fail(new CxlMemory.RegionError({ fault, region: info.name, detail, hint }))
  const look = Effect.gen(function*() {
    while (!(yield* snapshot).serving) {
      // A server cannot start in a swarm's region, so the hint must not advise that.
      if (useOf(info.geometry) === "swarm" && (yield* creator) !== undefined) {
        return yield* refusal(
          `${pathOf(target)} belongs to a swarm, which serves no log`,
          `join it by \`ringfence swarm${flagsTo(target)} --name NAME\`, or serve a log under another name`,
          "invalid"
        )
      }
      if ((yield* creator) === undefined) {
        return yield* refusal(
          `no process serves the log in ${pathOf(target)}`,
          "start `ringfence serve` again",
          "notServing"
        )
      }
      yield* Effect.sleep(lookMillis)
    }
  })
  yield* Effect.timeoutOrElse(look, {
    duration: withinMillis,
    orElse: () =>
      Effect.flatMap(creator, (found) => {
        const { detail, hint } = unanswered(found && { ...found, serving: false, own: false })
        return refusal(detail, hint, "notAnswering")
      })
  })
})
