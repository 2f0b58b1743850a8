/**
 * Turns faults of the native module into errors of the services.
 */
import * as Effect from "effect/Effect"
import { isFault, load, type Native, type NativeFault } from "../../../native/binding.ts"
import { RegionError, RegionFault } from "../../../services/schema/RegionError.ts"
import { formatBytes } from "../../../services/text/quantities.ts"

/** The module, or a typed error if it cannot be loaded. */
export const nativeModule: Effect.Effect<Native, RegionError> = Effect.suspend(() => {
  const native = load()
  if (!("unavailable" in native)) return Effect.succeed(native)
  return Effect.fail(
    new RegionError({
      fault: "unsupported",
      region: "",
      detail: native.unavailable,
      hint: "Log.layerMemory runs everywhere, in one process"
    })
  )
})

/** Runs a native call. Faults of the module become typed errors; defects stay defects. */
export const attempt = <A>(region: string, call: () => A): Effect.Effect<A, RegionError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(call())
    } catch (error) {
      return isFault(error) ? Effect.fail(regionErrorOf(region, error)) : Effect.die(error)
    }
  })

export const attemptPromise = <A>(region: string, call: () => Promise<A>): Effect.Effect<A, RegionError> =>
  Effect.callback<A, RegionError>((resume) => {
    const failed = (error: unknown) =>
      resume(isFault(error) ? Effect.fail(regionErrorOf(region, error)) : Effect.die(error))
    try {
      call().then((value) => resume(Effect.succeed(value)), failed)
    } catch (error) {
      failed(error)
    }
  })

/** The fault by its name in the native module; an unknown name becomes `system`. */
export const faultOf = (fault: string): RegionFault => isRegionFault(fault) ? fault : "system"

// --- internal ---

const hints: Record<RegionFault, string> = {
  missing: "start the process that creates it, or check its name",
  exists: "another process serves it: attach to it, or choose another name",
  versionMismatch: "both sides must run the same version of ringfence",
  truncated: "it is incomplete: `ringfence doctor --repair` removes it when no process uses it",
  corrupt: "`ringfence doctor` describes the damage, and with --repair removes a damaged region that no process uses",
  notRegion: "it is left alone: choose another name or path",
  foreignOwner: "run as that user, or set allowForeign where you attach",
  otherHost: "`ringfence doctor --repair` removes it",
  notPermitted: "run as that user, or choose another name or path",
  noSpace: "free some space, or ask for a smaller region: fewer sessions, smaller lanes",
  notServing: "its server has not started yet or is gone",
  notAnswering: "its server is stopped or too busy",
  recovering: "wait for a standby, or start `ringfence serve` to continue the log",
  recoverable: "`ringfence serve` continues it; discard it with --fresh, or with leftLog: \"discard\"",
  blocked: "end these processes (kill -KILL): stopped ones keep their places",
  ended: "start a new log",
  full: "close some, or create the region with room for more",
  invalid: "",
  busy: "try again",
  unsupported: "Log.layerMemory runs everywhere, in one process",
  system: ""
}

const isRegionFault = (fault: string): fault is RegionFault =>
  (RegionFault.literals as ReadonlyArray<string>).includes(fault)

const regionErrorOf = (region: string, error: NativeFault) => {
  const fault = faultOf(error.fault)
  const { freeBytes, message, wantedBytes } = error
  if (fault !== "noSpace" || wantedBytes === 0) {
    return new RegionError({ fault, region, detail: message, hint: error.hint || hints[fault] })
  }
  const detail = `${message}: it takes ${formatBytes(wantedBytes)}, ${formatBytes(freeBytes)} are free`
  return new RegionError({ fault, region, detail, hint: hints.noSpace, wantedBytes, freeBytes })
}
