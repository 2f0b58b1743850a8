/**
 * Keeps regions in this heap by name, as `/dev/shm` does for shared memory: a region exists from its first process to
 * the end of its last.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import { type HeapRegion, type HeapRegionOptions, makeHeapRegion } from "./HeapRegion.ts"

interface Used {
  readonly region: HeapRegion
  uses: number
}

export class HeapRegions {
  readonly #regions = new Map<string, Used>()

  /** The names of the existing regions. */
  get names(): ReadonlyArray<string> {
    return [...this.#regions.keys()]
  }

  find(name: string): HeapRegion | undefined {
    return this.#regions.get(name)?.region
  }

  /** The region of that name, held until the scope closes. The first use creates it, with its geometry. */
  use(
    name: string,
    options: HeapRegionOptions
  ): Effect.Effect<{ readonly region: HeapRegion; readonly isNew: boolean }, RegionError, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.suspend(() => {
        const known = this.#regions.get(name)
        if (known === undefined) return Effect.map(makeHeapRegion(options), (region) => this.#made(name, region))
        known.uses += 1
        return Effect.succeed({ used: known, isNew: false })
      }),
      ({ used }) => Effect.sync(() => this.#left(name, used))
    ).pipe(Effect.map(({ isNew, used }) => ({ isNew, region: used.region })))
  }

  #made(name: string, region: HeapRegion) {
    const used: Used = { region, uses: 1 }
    this.#regions.set(name, used)
    return { used, isNew: true }
  }

  #left(name: string, used: Used): void {
    used.uses -= 1
    if (used.uses === 0) this.#regions.delete(name)
  }
}

/** The set of heap regions in which names are looked up: one for the whole process, unless another is provided. */
export const CurrentHeapRegions = Context.Reference<HeapRegions>("ringfence/HeapRegions", {
  defaultValue: () => new HeapRegions()
})
