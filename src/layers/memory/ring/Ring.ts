/**
 * Provides one process of a region in this heap with its view of the memory and of the rings.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CxlMemory } from "../../../services/CxlMemory.ts"
import type { Ring } from "../../../services/Ring.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import type { RingPorts } from "../../ports/RingPorts.ts"
import { ringContext } from "../../ring/makeRing.ts"
import { makeCxlMemory } from "../region/CxlMemory.ts"
import { attachHeap, type HeapRegion } from "../region/HeapRegion.ts"
import { makeRingPorts } from "./RingPorts.ts"

export const layerProcess = (
  region: HeapRegion,
  processName: string
): Layer.Layer<CxlMemory | Ring | RingPorts, RegionError> =>
  Layer.effectContext(
    Effect.map(attachHeap(region, processName), (process) =>
      ringContext(makeRingPorts(region, process)).pipe(
        Context.add(CxlMemory, makeCxlMemory(region, process))
      ))
  )
