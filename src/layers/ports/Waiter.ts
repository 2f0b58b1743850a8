/**
 * The port for waiting, which each backend implements: a check that runs again after each change.
 */
import type * as Effect from "effect/Effect"
import type { RegionLost } from "../../services/CxlMemory.ts"
import type { Server } from "../../services/schema/Server.ts"

/** Waits without a lost wake-up: registers first, then checks, and only then sleeps. */
export interface Waiter {
  /**
   * Returns the first value of `check` that is not `undefined`. `check` runs at once, and again whenever the region may
   * have changed; it must be cheap and must not throw.
   */
  readonly until: <A>(check: () => A | undefined) => Effect.Effect<A, RegionLost>
}

/** Waits for changes of a log. Each wait fails once the log's server is gone. */
export interface LogWaiter extends Waiter {
  /** Fails once the log's server is gone. Publishing does not wake it, so it costs nothing under load. */
  readonly untilLost: Effect.Effect<never, RegionLost>
  /**
   * The loss, once the server is gone. Asks the operating system, so do not call it for each batch.
   */
  readonly lost: () => RegionLost | undefined
  readonly server: () => Server | undefined
}
