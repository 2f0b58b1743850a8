/**
 * Plans the size of a region: keeps the sizes that are set, and fits the others to the free space.
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

/** Plans lanes and batches of the wanted sizes, or smaller ones if the free space is short. */
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
 * Removes the regions that killed runs of the same command left. Their names contain a process id, so no later run
 * would create, and thus replace, them.
 */
export const removeLeftovers = (prefix: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (const region of yield* Regions.list) {
      if (region.name.startsWith(prefix) && !region.served && region.attached === 0) {
        yield* Regions.removeDead(region.path, { discard: true })
      }
    }
  }).pipe(Effect.ignore)
