/**
 * Waits for changes of a region in this heap: runs a check, and again after each change.
 */
import * as Effect from "effect/Effect"
import { RegionLost } from "../../../services/CxlMemory.ts"
import { processTitle } from "../../node/ProcessTitle.ts"
import type { LogWaiter, Waiter } from "../../ports/Waiter.ts"
import type { ChangeSignal } from "./ChangeSignal.ts"

/** Waits for changes of the log. The wait fails once the log has stopped. */
export const makeLogWaiter = (signal: ChangeSignal, region: string, stopped: () => boolean): LogWaiter => {
  const lost = () => stopped() ? new RegionLost({ region, reason: "stopped" }) : undefined
  const until = <A>(check: () => A | undefined) => {
    const attempt: Effect.Effect<A, RegionLost> = Effect.suspend(() => {
      const round = signal.round
      const found = check()
      if (found !== undefined) return Effect.succeed(found)
      const gone = lost()
      return gone === undefined ? Effect.flatMap(round.await, () => attempt) : Effect.fail(gone)
    })
    return attempt
  }
  const untilLost = until<never>(() => undefined)
  return {
    until,
    untilLost,
    lost,
    awaitsServer: () => false,
    untilServedOrLost: Effect.void,
    server: () => ({ serving: true, pid: process.pid, name: processTitle(), own: true })
  }
}

/**
 * Waits for changes of rings, in a process that can detach or be killed. It yields before each check, so that the fiber
 * that made the change continues first, as it would in another process.
 */
export const makeRingWaiter = (
  signal: ChangeSignal,
  region: string,
  state: () => "attached" | "detached" | "killed"
): Waiter => ({
  until: <A>(check: () => A | undefined) => {
    const attempt: Effect.Effect<A, RegionLost> = Effect.suspend(() => {
      const round = signal.round
      if (state() === "detached") return Effect.fail(new RegionLost({ region, reason: "stopped" }))
      const found = state() === "attached" ? check() : undefined
      if (found !== undefined) return Effect.succeed(found)
      return round.await.pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(attempt))
    })
    return attempt
  }
})
