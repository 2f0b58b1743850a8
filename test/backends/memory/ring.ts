/**
 * Rings in the heap, under the clock of the test.
 */
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { makeCxlMemory } from "../../../src/layers/memory/region/CxlMemory.ts"
import { attachHeap, type HeapRegion, makeHeapRegion } from "../../../src/layers/memory/region/HeapRegion.ts"
import { makeRingPorts, ringsIn } from "../../../src/layers/memory/ring/RingPorts.ts"
import { flipAt, pokeAt, type RingBackend } from "../ring.ts"

/** Writes to a ring's bytes as a hostile process might. */
export const change = (
  region: HeapRegion,
  name: string,
  write: (bytes: Uint8Array, ringBytes: number) => void
): Effect.Effect<void> =>
  Effect.sync(() => {
    const ring = ringsIn(region).find((other) => other.name === name)
    if (ring !== undefined) write(new Uint8Array(ring.buffer), region.geometry.ringBytes)
  })

export const memoryRings: RingBackend = {
  name: "memory",
  usesTestClock: true,
  elapse: (millis) => TestClock.adjust(millis),
  region: (geometry, run) =>
    Effect.gen(function*() {
      const region = yield* makeHeapRegion({ geometry })
      yield* attachHeap(region, "owner")
      return yield* run({
        attach: (name) =>
          Effect.map(attachHeap(region, name), (process) => ({
            memory: makeCxlMemory(region, process),
            ring: makeRingPorts(region, process),
            kill: Effect.sync(() => process.kill()),
            poke: (name, position, bytes) =>
              change(region, name, (ring, ringBytes) => pokeAt(ring, position, ringBytes, bytes)),
            flip: (name, position, bits) =>
              change(region, name, (ring, ringBytes) => flipAt(ring, position, ringBytes, bits))
          }))
      })
    }).pipe(Effect.scoped)
}
