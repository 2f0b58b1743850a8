/**
 * Measures the native cost of publishing to a ring.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { attempt } from "../../src/layers/native/region/NativeError.ts"
import type { RegionError } from "../../src/services/schema/RegionError.ts"
import { measuring } from "./native.ts"

/**
 * A process that writes rings of the region at this path: the nanoseconds for that many messages of that size to one of
 * them.
 */
export const openPublishCost = (
  path: string,
  processName: string,
  rings: ReadonlyArray<string>
): Effect.Effect<
  (ring: string, publishes: number, messageBytes: number) => number,
  RegionError,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const { PublishCost } = yield* measuring
    const cost = yield* Effect.acquireRelease(
      attempt(path, () => new PublishCost(path, processName, rings)),
      (cost) => Effect.sync(() => cost.close())
    )
    return (ring, publishes, messageBytes) => cost.nanos(rings.indexOf(ring), publishes, messageBytes)
  })
