/**
 * Attaches a child to the rings of a region that its parent created.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../layers/CxlMemory.ts"
import * as Rings from "../../layers/Rings.ts"

/** Runs the child's work as a process of the region. */
export const inRegion = (job: { readonly region: string; readonly name: string }) =>
  Effect.provide(
    Rings.layerNative.pipe(
      Layer.provideMerge(CxlMemory.layerAttach({ region: job.region, processName: job.name }))
    )
  )
