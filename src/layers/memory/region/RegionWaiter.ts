/**
 * Waits on a region in this heap: a check runs, and runs again after each change.
 */
import * as Effect from "effect/Effect"
import { RegionLost } from "../../../services/CxlMemory.ts"
import { processTitle } from "../../node/ProcessTitle.ts"
import type { LogWaiter, Waiter } from "../../ports/Waiter.ts"
import type { ChangeSignal } from "./ChangeSignal.ts"

/** Waits for what the log does: the check runs again at each change, and the wait fails once the log has stopped. */
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
    server: () => ({ serving: true, pid: process.pid, name: processTitle(), own: true })
  }
}

/**
 * Waits for what rings do, in a process that can detach or be killed. Each check has a turn of its own, so that the
 * fiber that rang goes on first, as it would if the two were in different processes.
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
