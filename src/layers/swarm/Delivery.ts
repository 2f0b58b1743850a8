/**
 * Which handlers a fiber is in. A fence that is entered from a handler must not wait for the stream that waits for it.
 */
import * as Context from "effect/Context"

/** One run of a handler. */
export interface Delivery {
  readonly ring: number
  /** False once the handler has ended: what it left behind is in no handler. */
  running: boolean
  /** Waits for another handler to end, so that this one is not waited for in turn. */
  closing: boolean
}

/** The handlers that the present fiber is in, the outermost first. */
export const CurrentDeliveries = Context.Reference<ReadonlyArray<Delivery>>("ringfence/CurrentDeliveries", {
  defaultValue: () => []
})
