/**
 * Completes and checks the sizes of a log in the heap: smaller by default than a region's, by the same rules.
 */
import * as Effect from "effect/Effect"
import { defaultGeometry, type Geometry } from "../../../services/schema/Geometry.ts"
import { geometryError, type RegionError } from "../../../services/schema/RegionError.ts"

/** 1 MiB lanes that are allocated when a session opens: light enough for a test that uses one of them. */
export const heapGeometry: Geometry = { ...defaultGeometry, laneBytes: 1024 * 1024, batchBytes: 64 * 1024 }

/** The requested geometry, or the error that refuses it. */
export const resolveGeometry = (
  region: string,
  wanted: Partial<Geometry> = {}
): Effect.Effect<Geometry, RegionError> => {
  const geometry = { ...heapGeometry, ...wanted }
  const error = geometryError(region, geometry)
  return error === undefined ? Effect.succeed(geometry) : Effect.fail(error)
}
