/**
 * Completes and checks the sizes of a log in the heap: smaller defaults than for shared memory, the same rules.
 */
import * as Effect from "effect/Effect"
import { defaultGeometry, type Geometry } from "../../../services/schema/Geometry.ts"
import { geometryError, type RegionError } from "../../../services/schema/RegionError.ts"

/** 1 MiB lanes, allocated when a session opens: light enough for tests. */
export const heapGeometry: Geometry = { ...defaultGeometry, laneBytes: 1024 * 1024, batchBytes: 64 * 1024 }

/** The wanted sizes completed by the defaults, or the error that refuses one. */
export const resolveGeometry = (
  region: string,
  wanted: Partial<Geometry> = {}
): Effect.Effect<Geometry, RegionError> => {
  const geometry = { ...heapGeometry, ...wanted }
  const error = geometryError(region, geometry)
  return error === undefined ? Effect.succeed(geometry) : Effect.fail(error)
}
