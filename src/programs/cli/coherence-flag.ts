/**
 * How the memory of a region that a command creates makes writes visible.
 */
import * as Flag from "effect/cli/Flag"
import type { Coherence } from "../../services/CxlMemory.ts"
import { setting } from "./settings.ts"

const values: ReadonlyArray<Coherence> = ["coherent", "flushed"]

export const coherenceSetting = setting("coherence", (name) => Flag.Literals(name, values), {
  description: "coherent, or flushed for memory that is written back and invalidated by instruction",
  fallback: "coherent"
})
