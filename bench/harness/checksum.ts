/**
 * Sums all bytes as 64-bit words, so that a benchmark's reader skips none.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { RegionError } from "../../src/services/schema/RegionError.ts"
import * as Machine from "../machine/Machine.ts"
import { JavaScriptSum } from "./content.ts"

export const Fold = Schema.Literals(["native", "javascript"])
export type Fold = typeof Fold.Type

export interface Folding {
  readonly add: (bytes: Uint8Array) => void
  readonly value: () => bigint
}

export const foldingOf = (fold: Fold): Effect.Effect<Folding, RegionError> => {
  if (fold === "javascript") {
    const sum = new JavaScriptSum()
    return Effect.succeed({ add: (bytes) => sum.add(bytes), value: () => sum.value() })
  }
  return Effect.map(Machine.fold, (fold) => {
    const sum = new Uint32Array(2)
    return {
      add: (bytes: Uint8Array) => fold(bytes, sum),
      value: () => (BigInt(sum[1] as number) << 32n) + BigInt(sum[0] as number)
    }
  })
}
