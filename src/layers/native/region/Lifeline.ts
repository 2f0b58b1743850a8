/**
 * Holds the child's end of a lifeline.
 */
import * as Effect from "effect/Effect"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import { LifelineMissing, ownerGoneCode } from "../../../services/Spawner.ts"
import { nativeModule } from "./NativeError.ts"

/**
 * Ends this process at once, with exit code 99, when the process that started it is gone. Fails if the lifeline named
 * in the environment is missing.
 */
export const holdLifeline = (told: string): Effect.Effect<void, LifelineMissing | RegionError> =>
  Effect.flatMap(nativeModule, (native) => {
    const [descriptor = "", proof = ""] = told.split(":")
    const isHeld = /^\d+$/.test(descriptor) && proof !== ""
      && native.holdLifeline(Number(descriptor), proof, ownerGoneCode)
    return isHeld ? Effect.void : Effect.fail(new LifelineMissing())
  })
