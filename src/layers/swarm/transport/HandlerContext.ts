/**
 * Tracks the handlers that a fiber runs in: a fence entered from a handler must not drain the ring of that handler,
 * which waits for the fence.
 */
import * as Context from "effect/Context"

/** One run of a handler. */
export interface HandlerContext {
  readonly ring: number
  /** False once the handler has ended: fibers that outlive it are in no handler. */
  running: boolean
  /** Handlers of subscriptions that this handler closes: it continues when they have ended. */
  readonly waitsFor: Set<HandlerContext>
}

/** True when `delivery` is one of these, or waits for the end of one of them. */
export const isHeldBy = (delivery: HandlerContext, these: ReadonlyArray<HandlerContext>): boolean =>
  these.includes(delivery) || [...delivery.waitsFor].some((next) => isHeldBy(next, these))

/** The handlers that the present fiber runs in, the outermost first. */
export const CurrentHandlers = Context.Reference<ReadonlyArray<HandlerContext>>("ringfence/CurrentDeliveries", {
  defaultValue: () => []
})
