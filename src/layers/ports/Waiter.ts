/**
 * The port for waits, which each backend implements: a check that runs again at each change, without a lost wake-up.
 */
import type * as Effect from "effect/Effect"
import type { RegionLost } from "../../services/CxlMemory.ts"
import type { Server } from "../../services/schema/Server.ts"

/** Waiting without a lost wake-up: registers, checks, and sleeps only then. */
export interface Waiter {
  /**
   * Resolves with the first value of `check` that is not `undefined`. `check` runs at once and again whenever
   * something the region's members wait for may have changed; it must be cheap and must not throw.
   */
  readonly until: <A>(check: () => A | undefined) => Effect.Effect<A, RegionLost>
}

/** Waiting for what a log does: it ends with the log's server, and knows which process that is. */
export interface LogWaiter extends Waiter {
  /** Fails once the log's server is gone. Publishing does not wake it: it costs nothing while much is published. */
  readonly untilLost: Effect.Effect<never, RegionLost>
  /**
   * Why nothing more will come, when the server is gone. Asks the operating system, so do not call it for each batch.
   */
  readonly lost: () => RegionLost | undefined
  readonly server: () => Server | undefined
}
