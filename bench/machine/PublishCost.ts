/**
 * What publishing to a ring costs by itself, natively. Only for measuring.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { attempt, nativeModule } from "../../src/layers/native/region/NativeError.ts"
import type { RegionError } from "../../src/services/schema/RegionError.ts"

/** A process that writes rings of the region at this path: nanoseconds for so many messages of that size to one of them. */
export const openPublishCost = (
  path: string,
  processName: string,
  rings: ReadonlyArray<string>
): Effect.Effect<
  (ring: string, publishes: number, messageBytes: number) => number,
  RegionError,
  Scope.Scope
> =>
  Effect.flatMap(nativeModule, (native) =>
    Effect.gen(function*() {
      const handle = yield* Effect.acquireRelease(
        attempt(path, () => native.attachRegion(path, processName, false)),
        (handle) => Effect.sync(() => native.closeRegion(handle))
      )
      const writers = yield* attempt(path, () =>
        new Map(rings.map((name) => [name, native.openRingWriter(handle, name)])))
      return (ring: string, publishes: number, messageBytes: number) => {
        const writer = writers.get(ring)
        return writer === undefined ? NaN : native.ringPublishNanos(writer, publishes, messageBytes)
      }
    }))
