/**
 * How large a region a program creates for itself: what it would like, or what there is room for.
 */
import * as Effect from "effect/Effect"
import * as CxlMemory from "../layers/CxlMemory.ts"
import * as Regions from "../layers/Regions.ts"

export interface RegionPlan {
  readonly name: string
  readonly path: string
  readonly geometry: CxlMemory.Geometry
  readonly bytes: number
  readonly freeBytes: number
}

/**
 * Lanes of `laneBytes`, or smaller ones, so that the region takes at most half of what is free. The smallest is
 * planned in any case: creating it then says what is missing.
 */
export const planRegion = Effect.fnUntraced(function*(
  name: string,
  wanted: Partial<CxlMemory.Geometry> & { readonly laneBytes: number; readonly batchBytes: number }
) {
  const path = CxlMemory.regionPath(name)
  const freeBytes = yield* CxlMemory.freeBytes(path)
  for (let { batchBytes, laneBytes } = wanted;; laneBytes /= 2) {
    batchBytes = Math.min(batchBytes, laneBytes / batchesPerLaneMin)
    const geometry = { ...CxlMemory.defaultGeometry, ...wanted, laneBytes, batchBytes }
    const bytes = yield* CxlMemory.regionBytes(geometry)
    const plan: RegionPlan = { name, path, geometry, bytes, freeBytes }
    if (bytes <= freeBytes / 2 || laneBytes <= laneBytesMin) return plan
  }
})

/** Removes what runs of the same kind left when they were killed: their names carry a process id and never come back. */
export const removeLeftovers = (prefix: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (const region of yield* Regions.list) {
      if (region.name.startsWith(prefix) && !region.served && region.attached === 0) {
        yield* Regions.removeDead(region.path)
      }
    }
  }).pipe(Effect.ignore)

// --- internal ---

const batchesPerLaneMin = 8
const laneBytesMin = 256 * 1024
