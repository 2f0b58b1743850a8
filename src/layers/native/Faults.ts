/**
 * What the native module reports, as the errors of the services.
 */
import * as Effect from "effect/Effect"
import { isFault, load, type Native } from "../../native/binding.ts"
import { RegionError, RegionFault } from "../../services/CxlMemory.ts"

/** The module, or a typed error where it cannot be loaded. */
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

/** A native call that can be refused. A defect stays one: only faults of the module become errors. */
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

// --- internal ---

const hints: Record<RegionFault, string> = {
  missing: "start `ringfence serve` for it, or check the name",
  exists: "another process serves it: attach to it, or choose another name",
  versionMismatch: "both sides must run the same version of ringfence",
  truncated: "it is not whole: `ringfence doctor --repair` removes it when nobody uses it",
  corrupt: "it is damaged: `ringfence doctor --repair` removes it when nobody uses it",
  foreignOwner: "it belongs to another user, whose memory is not trusted unless you allow it",
  noSpace: "free some space, or ask for a smaller region: fewer sessions, smaller lanes",
  notServing: "its server has not started yet or is gone",
  full: "close some, or create the region with room for more",
  invalid: "",
  busy: "try again",
  unsupported: "Log.layerMemory runs everywhere, in one process",
  system: ""
}

const isRegionFault = (fault: string): fault is RegionFault =>
  (RegionFault.literals as ReadonlyArray<string>).includes(fault)

const regionErrorOf = (region: string, error: Error & { fault: string; wantedBytes: number; freeBytes: number }) => {
  const fault = isRegionFault(error.fault) ? error.fault : "system"
  const sizes = fault === "noSpace" ? { wantedBytes: error.wantedBytes, freeBytes: error.freeBytes } : {}
  return new RegionError({ fault, region, detail: error.message, hint: hints[fault], ...sizes })
}
