/**
 * Which handlers a fiber is in. A fence that is entered from a handler must not wait for the stream that waits for it.
 */
import * as Context from "effect/Context"

/** One run of a handler. */
export interface HandlerContext {
  readonly ring: number
  /** False once the handler has ended: what it left behind is in no handler. */
  running: boolean
  /** Handlers of subscriptions that this one closes: it goes on when they have ended. */
  readonly waitsFor: Set<HandlerContext>
}

/** True when `delivery` is one of these, or goes on only after one of them has ended. */
export const isHeldBy = (delivery: HandlerContext, these: ReadonlyArray<HandlerContext>): boolean =>
  these.includes(delivery) || [...delivery.waitsFor].some((next) => isHeldBy(next, these))

/** The handlers that the present fiber is in, the outermost first. */
export const CurrentHandlers = Context.Reference<ReadonlyArray<HandlerContext>>("ringfence/CurrentDeliveries", {
  defaultValue: () => []
})
