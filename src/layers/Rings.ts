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

/** The rings of the region that it is provided with. A graph builds it anew for each region: it is a view, not shared. */
export const layerNative: Layer.Layer<Ring | RingPorts, never, NativeRegion> = Layer.fresh(nativeLayer)

/**
 * A process in this heap, of a region that others here share: the same rules without shared memory, deterministic under
 * `TestClock`. Fails when all process slots of the region are taken.
 */
export const layerHeapProcess = (
  region: HeapRegion,
  options: { readonly processName: string }
): Layer.Layer<CxlMemory | Ring | RingPorts, RegionError> => layerProcess(region, options.processName)

/**
 * For tests: the process in that slot dies as by SIGKILL. Nothing that it or its finalizers do afterwards has any
 * effect, and its fibers wait for ever: interrupt them.
 */
export const killHeapProcess = (region: HeapRegion, process: number): Effect.Effect<void> =>
  Effect.sync(() => region.processes[process]?.kill())
