/**
 * Plans the size of a region: the sizes that were set, and for the others what there is room for.
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

/** Lanes and batches as large as wanted, or smaller where there is less room, even where their sizes were set. */
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

/**
 * Removes the regions that killed runs of the same command left: their names contain a process id, so that no later
 * start would.
 */
export const removeLeftovers = (prefix: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (const region of yield* Regions.list) {
      if (region.name.startsWith(prefix) && !region.served && region.attached === 0) {
        yield* Regions.removeDead(region.path)
      }
    }
  }).pipe(Effect.ignore)
