/**
 * Replicas of a log in shared memory.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RegionError } from "../../../services/schema/RegionError.ts"
import { ReplicatedLog } from "../../ports/ReplicatedLog.ts"
import type { NativeRegion } from "../region/NativeRegion.ts"
import { clientRegion } from "./ClientRegion.ts"

export const layer: Layer.Layer<ReplicatedLog, RegionError, NativeRegion> = Layer.effect(
  ReplicatedLog,
  Effect.map(clientRegion(), (region) => {
    const notYet = Effect.fail(
      new RegionError({ fault: "invalid", region: region.info.name, detail: "no replicas yet", hint: "use the heap" })
    )
    return ReplicatedLog.of({
      region: region.info.name,
      waiter: region.waiter,
      topics: () => [],
      attach: () => notYet,
      restoreTopic: () => notYet,
      restoreIdentity: () => notYet
    })
  })
)
