/**
 * Runs a command as a client of a log that another process serves.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as CxlMemory from "../../layers/CxlMemory.ts"
import * as Log from "../../layers/Log.ts"
import { awaitingServerLine, quietMillis } from "../../layers/log/serverDeadline.ts"
import { serverOf } from "../../layers/native/region/ServerWaiter.ts"
import { useOf } from "../../layers/Regions.ts"
import { Diagnostics } from "../../services/Diagnostics.ts"
import { unanswered } from "../../services/schema/Server.ts"
import { flagsTo, pathOf, type Target } from "./target.ts"

export interface ClientFlags {
  readonly processName: string
  readonly allowForeign: boolean
  /** How long it waits for a process that continues the log of a dead server. */
  readonly serverMillis: number
  /** Directories of replicas, for records that memory no longer has. */
  readonly history?: ReadonlyArray<string>
}

/**
 * Attaches to the region and runs the work once its log is served. Waits for a server that starts at most two seconds, for
 * one that continues the log of a dead one as long as the flags say, and for either at most the deadline.
 */
export const asClient = <A, E, R>(
  target: Target,
  { allowForeign, history, processName, serverMillis }: ClientFlags,
  work: Effect.Effect<A, E, R | Scope.Scope>,
  deadlineMillis = Infinity
) => {
  const attached = CxlMemory.layerAttach({ ...target, processName, allowForeign })
  return served(target, Math.min(deadlineMillis, startMillis), Math.min(deadlineMillis, serverMillis)).pipe(
    Effect.andThen(work),
    Effect.scoped,
    Effect.provide(Log.layerClient({ serverDeadline: serverMillis, history }).pipe(Layer.provideMerge(attached)))
  )
}

// --- internal ---

const lookMillis = 10

/** How long a server may take from the creation of the region until it serves. */
const startMillis = 2000

// A region exists for a moment before its log is served: wait for that. The region of a killed server is served again only
// by another process; its creator may be long gone while another serves.
const served = Effect.fnUntraced(function*(target: Target, startMillis: number, serverMillis: number) {
  const { info, processes } = yield* CxlMemory.CxlMemory
  const { handle } = yield* CxlMemory.NativeRegion
  const { snapshot } = yield* Diagnostics
  const creator = Effect.map(processes, (all) => all.find(({ alive, slot }) => slot === 0 && alive))
  const refusal = (detail: string, hint: string, fault: CxlMemory.RegionFault) =>
    Effect.fail(new CxlMemory.RegionError({ fault, region: info.name, detail, hint }))
  const begun = performance.now()
  for (let isTold = false;;) {
    const { ended, serving } = yield* snapshot
    if (serving) return
    const waitedMillis = performance.now() - begun
    const found = yield* creator
    // A server cannot start in a swarm's region, so the hint must not advise that.
    if (useOf(info.geometry) === "swarm" && found !== undefined) {
      return yield* refusal(
        `${pathOf(target)} belongs to a swarm, which serves no log`,
        `join it by \`ringfence swarm${flagsTo(target)} --name NAME\`, or serve a log under another name`,
        "invalid"
      )
    }
    const successor = serverOf(handle)?.successor
    if (successor !== undefined && waitedMillis >= serverMillis) {
      const { detail, hint } = unanswered(serverOf(handle))
      return yield* refusal(detail, hint, "notAnswering")
    }
    if (ended || (found === undefined && waitedMillis >= serverMillis)) {
      return yield* refusal(
        `no process serves the log in ${pathOf(target)}`,
        "start `ringfence serve` again",
        "notServing"
      )
    }
    if (found !== undefined && waitedMillis >= startMillis) {
      const { detail, hint } = unanswered({ ...found, serving: false, own: false })
      return yield* refusal(detail, hint, "notAnswering")
    }
    if (found === undefined && waitedMillis >= quietMillis && !isTold) {
      isTold = true
      yield* Effect.logWarning(awaitingServerLine(info.name, undefined, serverMillis, successor))
    }
    yield* Effect.sleep(lookMillis)
  }
})
