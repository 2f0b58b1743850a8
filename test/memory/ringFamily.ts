/**
 * Rings in the heap, under the clock of the test.
 */
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { attachHeap, makeHeapRegion } from "../../src/layers/memory/HeapRegion.ts"
import { memoryOf, ringsOf } from "../../src/layers/memory/HeapRings.ts"
import type { RingFamily } from "../suites/ringFamily.ts"

export const memoryRings: RingFamily = {
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
            memory: memoryOf(process),
            ring: ringsOf(process),
            kill: Effect.sync(() => process.kill()),
            poke: (name, position, bytes) =>
              Effect.sync(() => {
                const ring = region.rings.find((other) => other.name === name)
                if (ring !== undefined) new Uint8Array(ring.buffer).set(bytes, position % region.geometry.ringBytes)
              })
          }))
      })
    }).pipe(Effect.scoped)
}
