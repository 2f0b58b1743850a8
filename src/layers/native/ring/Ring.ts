/**
 * Provides the rings of the attached region.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Ring } from "../../../services/Ring.ts"
import type { RingPorts } from "../../ports/RingPorts.ts"
import { ringContext } from "../../ring/makeRing.ts"
import { NativeRegion } from "../region/NativeRegion.ts"
import { makeRingPorts } from "./RingPorts.ts"

export const layer: Layer.Layer<Ring | RingPorts, never, NativeRegion> = Layer.effectContext(
  Effect.map(NativeRegion, (region) => ringContext(makeRingPorts(region)))
)
