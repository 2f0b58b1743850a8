/**
 * `CxlMemory` of a process of a region in this heap.
 */
import * as Effect from "effect/Effect"
import { CxlMemory } from "../../../services/CxlMemory.ts"
import type { HeapProcess } from "./HeapProcess.ts"
import type { HeapRegion } from "./HeapRegion.ts"

export const makeCxlMemory = (region: HeapRegion, own: HeapProcess): CxlMemory["Service"] =>
  CxlMemory.of({
    info: {
      name: region.name,
      path: "",
      backing: "heap",
      coherence: "coherent",
      regionId: region.name,
      bytes: region.geometry.rings * region.geometry.ringBytes,
      geometry: region.geometry,
      owner: own.slot === 0 && own.generation === 1
    },
    processes: Effect.sync(() =>
      region.processes.map(({ generation, isAlive, name, slot }) => ({
        slot,
        generation,
        pid: process.pid,
        name,
        alive: isAlive
      }))
    ),
    // A region in the heap has no name that could outlive it.
    hold: Effect.void
  })
