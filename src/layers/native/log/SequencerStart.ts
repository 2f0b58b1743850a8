/**
 * Starts the sequencer of a process that is to serve the log at once: waits a while for a place, not for another server.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type SequencerHandle, serverState } from "../../../native/binding.ts"
import { continueOrEnd, processIdOf, showProcess } from "../../../services/schema/ProcessId.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import { unfinished } from "../../../services/schema/Server.ts"
import { type ClientOptions, serverMillisOf } from "../../log/serverDeadline.ts"
import { lookMillis } from "../../log/Suspicion.ts"
import type { NativeRegion } from "../region/NativeRegion.ts"

type Region = NativeRegion["Service"]

/**
 * Retries `start` while another process recovers the log, or all places are held by processes that were stopped: at most
 * for `serverDeadline`. Fails at once when another process serves the log.
 */
export const startedInTime = (
  region: Region,
  options: ClientOptions,
  start: Effect.Effect<SequencerHandle, RegionError, Scope.Scope>
): Effect.Effect<SequencerHandle, RegionError, Scope.Scope> =>
  Effect.gen(function*() {
    const deadlineMillis = yield* serverMillisOf(region.info.name, options)
    const begun = yield* Clock.currentTimeMillis
    const trial = (isTold: boolean): Effect.Effect<SequencerHandle, RegionError, Scope.Scope> =>
      Effect.catchIf(start, isPassing, (error) =>
        Effect.gen(function*() {
          const served = error.fault === "busy" ? servedByOther(region) : undefined
          if (served !== undefined) return yield* served
          const held = heldBySuccessor(region) ?? error
          if ((yield* Clock.currentTimeMillis) - begun >= deadlineMillis) return yield* Effect.fail(held)
          if (!isTold) yield* Effect.logWarning(held.message)
          yield* Effect.sleep(lookMillis)
          return yield* trial(true)
        }))
    return yield* trial(false)
  })

// --- internal ---

const isPassing = ({ fault }: RegionError): boolean => fault === "busy" || fault === "blocked"

// Another process has begun to continue the log, and holds this one up as long as it is stopped.
const heldBySuccessor = ({ handle, info }: Region): RegionError | undefined => {
  const found = handle.server()
  if (found.state !== serverState.recovering || found.own) return undefined
  const who = { ...processIdOf(found), name: found.name }
  return new RegionError({
    fault: "busy",
    region: info.name,
    detail: unfinished(who),
    hint: continueOrEnd(who)
  })
}

const servedByOther = ({ handle, info }: Region): RegionError | undefined => {
  const found = handle.server()
  if (found.state !== serverState.serving || found.own) return undefined
  const who = showProcess({ ...processIdOf(found), name: found.name })
  const detail = `${who} serves its log already`
  return new RegionError({
    fault: "exists",
    region: info.name,
    detail,
    hint: "stand by for it, or choose another name"
  })
}
