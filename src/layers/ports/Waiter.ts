/**
 * The port for waiting, which each backend implements: a check that runs again after each change.
 */
import type * as Effect from "effect/Effect"
import type { RegionLost } from "../../services/CxlMemory.ts"
import type { Server } from "../../services/schema/Server.ts"

/** Whether a check is likely to find something. */
export type IsStirred = () => boolean

/** Waits without a lost wake-up: registers first, then checks, and only then sleeps. */
export interface Waiter {
  /**
   * Returns the first value of `check` that is not `undefined`. `check` runs at once, and again whenever the region may
   * have changed; it must be cheap and must not throw.
   *
   * `isStirred` is a glance that costs less: while it is false a waiter may leave the check out, but not the last check
   * before it sleeps.
   */
  readonly until: <A>(check: () => A | undefined, isStirred?: IsStirred) => Effect.Effect<A, RegionLost>
}

/**
 * Waits for changes of a log. Each wait fails once the log is lost: it has ended, or its server is gone and no other
 * process has continued it within the client's deadline.
 */
export interface LogWaiter extends Waiter {
  /** Fails once the log is lost. Publishing does not wake it, so it costs nothing under load. */
  readonly untilLost: Effect.Effect<never, RegionLost>
  /**
   * Like `until`, for a check that changes only when the session of this client ends before its time, or the log does.
   * Publishing does not wake it either.
   */
  readonly untilEnded: <A>(check: () => A | undefined) => Effect.Effect<A, RegionLost>
  /**
   * The loss, once the log is lost. Asks the operating system, so do not call it for each batch.
   */
  readonly lost: () => RegionLost | undefined
  /** Whether the server is gone and another process may still continue the log. As expensive as `lost`. */
  readonly awaitsServer: () => boolean
  /** Returns once a process serves the log, or is still about to serve it for the first time, or the log is lost. */
  readonly untilServedOrLost: Effect.Effect<void, RegionLost>
  readonly server: () => Server | undefined
}
