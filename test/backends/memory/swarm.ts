/**
 * Swarms in the heap, under the clock of the test.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { makeCxlMemory } from "../../../src/layers/memory/region/CxlMemory.ts"
import { attachHeap } from "../../../src/layers/memory/region/HeapRegion.ts"
import { makeRingPorts } from "../../../src/layers/memory/ring/RingPorts.ts"
import * as Swarm from "../../../src/layers/Swarm.ts"
import { flipAt } from "../ring.ts"
import type { SwarmBackend } from "../swarm.ts"
import { change } from "./ring.ts"

/** A member that leaves at the end of a test may wait for an answer that does not come. */
const ticking = Effect.forever(TestClock.adjust(50))

export const memorySwarms: SwarmBackend = {
  name: "memory",
  usesTestClock: true,
  elapse: (millis) => TestClock.adjust(millis),
  region: (sizes, run) =>
    Effect.gen(function*() {
      const region = yield* Swarm.makeHeapRegion(sizes)
      const scope = yield* Scope.make()
      yield* Scope.provide(attachHeap(region, "owner"), scope)
      const attached = (processName: string) =>
        Effect.map(attachHeap(region, processName), (process) => ({
          memory: makeCxlMemory(region, process),
          ring: makeRingPorts(region, process),
          kill: Effect.sync(() => process.kill()),
          flip: (ring: string, position: number, bits: Uint8Array) =>
            change(region, ring, (bytes, ringBytes) => flipAt(bytes, position, ringBytes, bits))
        }))
      return yield* run(attached).pipe(
        Scope.provide(scope),
        Effect.onExit((exit) => Effect.race(Scope.close(scope, exit), ticking))
      )
    })
}
