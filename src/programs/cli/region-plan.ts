/**
 * How large a region a program creates: what was asked for, and otherwise what there is room for.
 */
import * as Effect from "effect/Effect"
import * as CxlMemory from "../../layers/CxlMemory.ts"
import * as Regions from "../../layers/Regions.ts"

export interface SizePlan {
  readonly path: string
  readonly geometry: CxlMemory.Geometry
  readonly bytes: number
  readonly freeBytes: number
}

/** The plan of a region in shared memory. */
export interface RegionPlan extends SizePlan {
  readonly name: string
}

/** Lanes and batches as large as wanted, or smaller where there is less room, whether they were named or not. */
export const planRegion = (name: string, wanted: Partial<CxlMemory.Geometry>) => {
  const path = CxlMemory.regionPath(name)
  return Effect.map(
    CxlMemory.fittedSizes(path, {
      geometry: wanted,
      shrinkable: ["laneBytes", "batchBytes", "laneSlots", "indexEntries"]
    }),
    ({ bytes, freeBytes, geometry }): RegionPlan => ({ name, path, geometry, bytes, freeBytes })
  )
}

/** Removes what runs of the same kind left when they were killed: their names carry a process id and never come back. */
export const removeLeftovers = (prefix: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (const region of yield* Regions.list) {
      if (region.name.startsWith(prefix) && !region.served && region.attached === 0) {
        yield* Regions.removeDead(region.path)
      }
    }
  }).pipe(Effect.ignore)
