/**
 * Both backends refuse the same sizes of rings.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Rings from "../../src/layers/Rings.ts"
import { smallRings } from "../backends/ring.ts"

const counts = [-1, 0, 1, 1.5, 2, 64, 127, 128, 129, 1023, 1024, 1025]
const sizes = [0, 1, 2048, 4095, 4096, 4097, 6144, 8192, 2 ** 32, 2 ** 33]

describe("sizes of rings", () => {
  for (const field of ["rings", "ringReaders", "ringBytes"] as const) {
    it.live(`${field}: what one backend refuses, the other refuses, too`, () =>
      Effect.gen(function*() {
        for (const value of field === "ringBytes" ? sizes : counts) {
          for (const rings of field === "rings" ? [value] : [0, 4]) {
            const geometry = { ...smallRings, rings, [field]: value }
            const native = yield* Effect.exit(CxlMemory.regionBytes(geometry))
            const heap = yield* Effect.exit(Rings.makeHeapRegion({ geometry }))
            assert.strictEqual(Exit.isSuccess(heap), Exit.isSuccess(native), JSON.stringify({ rings, [field]: value }))
          }
        }
      }))
  }

  it.live("what is wrong is said, with what it must be", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Rings.makeHeapRegion({ region: "odd", geometry: { rings: 1, ringBytes: 5000 } }))
      assert.strictEqual(
        error.message,
        `region "odd": ringBytes cannot be 5,000 (it must be a power of two from 4 KiB to 4 GiB)`
      )
    }))
})
