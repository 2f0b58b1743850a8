/**
 * Layers of rings, over shared memory or in this heap.
 *
 * @example
 * ```ts
 * import { CxlMemory, Rings } from "ringfence"
 * import * as Layer from "effect/Layer"
 *
 * const Memory = CxlMemory.layerShm({ region: "demo", geometry: { rings: 8 } })
 * const Shared = Rings.layerNative.pipe(Layer.provideMerge(Memory))
 * ```
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { CxlMemory } from "../services/CxlMemory.ts"
import type { Ring } from "../services/Ring.ts"
import type { RegionError } from "../services/schema/RegionError.ts"
import type { HeapRegion } from "./memory/region/HeapRegion.ts"
import { layerProcess } from "./memory/ring/Ring.ts"
import type { NativeRegion } from "./native/region/NativeRegion.ts"
import { layer as nativeLayer } from "./native/ring/Ring.ts"
import type { RingPorts } from "./ports/RingPorts.ts"

export { type HeapRegion, type HeapRegionOptions, makeHeapRegion } from "./memory/region/HeapRegion.ts"

/** The rings of the provided region. A layer graph builds it anew for each region. */
export const layerNative: Layer.Layer<Ring | RingPorts, never, NativeRegion> = Layer.fresh(nativeLayer)

/**
 * The rings of a region in this heap, for one process slot of it: the same rules without shared memory, deterministic
 * under `TestClock`. Fails when all process slots of the region are taken.
 */
export const layerHeapProcess = (
  region: HeapRegion,
  options: { readonly processName: string }
): Layer.Layer<CxlMemory | Ring | RingPorts, RegionError> => layerProcess(region, options.processName)

/**
 * For tests: kills the process in that slot as SIGKILL would. Nothing that the process or its finalizers do afterwards
 * has any effect, and its fibers wait for ever: interrupt them.
 */
export const killHeapProcess = (region: HeapRegion, process: number): Effect.Effect<void> =>
  Effect.sync(() => region.processes[process]?.kill())
