/**
 * `CxlMemory` over an attachment to shared memory.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { CxlMemory } from "../../../services/CxlMemory.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import { NativeRegion } from "./NativeRegion.ts"

/** The services of an attachment: `CxlMemory`, and the attachment itself for the other native layers. */
export type Provided = CxlMemory | NativeRegion

export const layerOf = (
  opening: Effect.Effect<NativeRegion["Service"], RegionError, Scope.Scope>
): Layer.Layer<Provided, RegionError> =>
  Layer.effectContext(
    Effect.map(opening, (region) =>
      Context.make(NativeRegion, region).pipe(
        Context.add(CxlMemory, CxlMemory.of({ info: region.info, processes: region.processes, hold: region.hold }))
      ))
  )
