/**
 * Tells which handlers a fiber is in: a fence that is entered from a handler must not wait for the stream of that handler,
 * which waits for the fence.
 */
import * as Context from "effect/Context"

/** One run of a handler. */
export interface HandlerContext {
  readonly ring: number
  /** False once the handler has ended: fibers that it has left behind are in no handler. */
  running: boolean
  /** Handlers of subscriptions that this handler closes: it goes on when they have ended. */
  readonly waitsFor: Set<HandlerContext>
}

/** True when `delivery` is one of these, or goes on only after one of them has ended. */
export const isHeldBy = (delivery: HandlerContext, these: ReadonlyArray<HandlerContext>): boolean =>
  these.includes(delivery) || [...delivery.waitsFor].some((next) => isHeldBy(next, these))

/** The handlers that the present fiber is in, the outermost first. */
export const CurrentHandlers = Context.Reference<ReadonlyArray<HandlerContext>>("ringfence/CurrentDeliveries", {
  defaultValue: () => []
})
