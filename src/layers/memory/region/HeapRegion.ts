/**
 * A region in this heap that several processes share. Its processes are simulated by fibers: each attaches on its own,
 * has a slot and a generation, and can be killed.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Geometry } from "../../../services/schema/Geometry.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import { formatCount } from "../../../services/text/quantities.ts"
import { resolveGeometry } from "./HeapGeometry.ts"
import { HeapProcess, type WaitsFor } from "./HeapProcess.ts"

export interface HeapRegionOptions {
  /** Its name in reports and errors. Default `memory`. */
  readonly region?: string | undefined
  /** Sizes that differ from the small ones of this backend. Default without rings. */
  readonly geometry?: Partial<Geometry> | undefined
}

export class HeapRegion {
  readonly name: string
  readonly geometry: Geometry
  /** By slot: its present process, or its last one. */
  readonly processes: Array<HeapProcess> = []

  #lives = 0

  constructor(name: string, geometry: Geometry) {
    this.name = name
    this.geometry = geometry
  }

  isAlive(slot: number, generation: number): boolean {
    const process = this.processes[slot]
    return process?.generation === generation && process.isAlive
  }

  /** Whether that process may look instead of sleeping: no more than so many others do. */
  beginLook(process: HeapProcess, others: number): boolean {
    const looking = this.processes.filter((other) => other !== process && other.isAlive && other.looks)
    process.looks = looking.length <= others
    return process.looks
  }

  /** Counts the attachments and departures of processes. */
  get lives(): number {
    return this.#lives
  }

  livesChanged(): void {
    this.#lives += 1
    this.ring("frames", "room", "cursor")
  }

  /** Wakes the fibers of all processes that wait for one of these reasons. */
  ring(...reasons: ReadonlyArray<WaitsFor>): void {
    for (const process of this.processes) for (const reason of reasons) process.ring(reason)
  }
}

export const makeHeapRegion = (options: HeapRegionOptions = {}): Effect.Effect<HeapRegion, RegionError> => {
  const name = options.region ?? "memory"
  return Effect.map(resolveGeometry(name, options.geometry), (geometry) => new HeapRegion(name, geometry))
}

/** Attaches a process at the first free slot, until the scope closes. */
export const attachHeap = (
  region: HeapRegion,
  processName: string
): Effect.Effect<HeapProcess, RegionError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const free = region.processes.findIndex(({ isAlive }) => !isAlive)
      const slot = free < 0 ? region.processes.length : free
      if (slot >= region.geometry.processes) return Effect.fail(full(region))
      const generation = (region.processes[slot]?.generation ?? 0) + 1
      const process = new HeapProcess({
        slot,
        generation,
        name: processName,
        region: region.name,
        onEnd: () => region.livesChanged()
      })
      region.processes[slot] = process
      region.livesChanged()
      return Effect.succeed(process)
    }),
    (process) => Effect.sync(() => process.detach())
  )

// --- internal ---

const full = ({ geometry, name }: HeapRegion) =>
  new RegionError({
    fault: "full",
    region: name,
    detail: `all ${formatCount(geometry.processes)} process slots are taken`,
    hint: "close some, or create the region with room for more"
  })
