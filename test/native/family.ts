/**
 * The native family over anonymous shared memory.
 */
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import type { Family } from "../suites/family.ts"

export const native: Family = {
  name: "native",
  embedded: (options) =>
    Log.layerEmbedded(options?.serve).pipe(
      Layer.provideMerge(CxlMemory.layerAnonymous({ geometry: options?.geometry }))
    )
}
