/**
 * An attachment as a client of the log uses it: what waits for the log also waits for its next server.
 */
import * as Effect from "effect/Effect"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import { type ClientOptions, serverMillisOf } from "../../log/serverDeadline.ts"
import { NativeRegion } from "../region/NativeRegion.ts"
import { ServerWaiter } from "../region/ServerWaiter.ts"

export interface ClientRegion extends Omit<NativeRegion["Service"], "waiter"> {
  readonly waiter: ServerWaiter
}

/** The attachment with the patience of a client. Its line is logged where it is made. */
export const clientRegion = (options: ClientOptions = {}): Effect.Effect<ClientRegion, RegionError, NativeRegion> =>
  Effect.gen(function*() {
    const region = yield* NativeRegion
    const deadlineMillis = yield* serverMillisOf(region.info.name, options)
    const runLog = Effect.runForkWith(yield* Effect.context())
    const tell = (line: string): void => {
      runLog(Effect.logWarning(line))
    }
    const waiter = new ServerWaiter(region.handle, region.info.name, region.waiter, { deadlineMillis, tell })
    return { ...region, waiter }
  })
