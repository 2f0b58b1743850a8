/**
 * How large a region a program creates: what was asked for, and otherwise what there is room for.
 */
import * as Effect from "effect/Effect"
import * as CxlMemory from "../layers/CxlMemory.ts"
import * as Regions from "../layers/Regions.ts"

export interface SizePlan {
  readonly path: string
  readonly geometry: CxlMemory.Geometry
  readonly bytes: number
  readonly freeBytes: number
  /** The lanes are smaller than they would be with more space free. */
  readonly reduced: boolean
}

/** Sizes that somebody asked for: they are kept, and creating the region then says what is missing. */
export interface AskedSizes {
  readonly laneBytes?: number | undefined
  readonly batchBytes?: number | undefined
}

/** Lanes as large as wanted, or halved until the region takes at most half of what is free. */
export const planSizes = Effect.fnUntraced(function*(
  path: string,
  wanted: Partial<CxlMemory.Geometry>,
  asked: AskedSizes = {}
) {
  const freeBytes = yield* CxlMemory.freeBytes(path)
  const whole = { ...CxlMemory.defaultGeometry, ...wanted }
  const batchesBytes = batchesPerLane * (asked.batchBytes ?? 0)
  const largest = asked.laneBytes ?? Math.max(whole.laneBytes, batchesBytes)
  const smallest = asked.laneBytes ?? Math.max(laneBytesMin, batchesBytes)
  for (let laneBytes = largest;; laneBytes /= 2) {
    const batchBytes = asked.batchBytes ?? Math.min(whole.batchBytes, laneBytes / batchesPerLane)
    const geometry = { ...whole, laneBytes, batchBytes }
    const bytes = yield* CxlMemory.regionBytes(geometry)
    const plan: SizePlan = { path, geometry, bytes, freeBytes, reduced: laneBytes < largest }
    if (bytes <= freeBytes / 2 || laneBytes <= smallest) return plan
  }
})

/** The plan of a region in shared memory. */
export interface RegionPlan extends SizePlan {
  readonly name: string
}

export const planRegion = (name: string, wanted: Partial<CxlMemory.Geometry>) =>
  Effect.map(planSizes(CxlMemory.regionPath(name), wanted), (plan): RegionPlan => ({ ...plan, name }))

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

const batchesPerLane = 8
const laneBytesMin = 64 * 1024
