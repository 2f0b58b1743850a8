/**
 * Waits for changes of a region in this heap: runs a check, and again after each change.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Latch from "effect/Latch"
import { RegionLost } from "../../../services/CxlMemory.ts"
import { awaitingServerLine, quietMillis } from "../../log/serverDeadline.ts"
import { processTitle } from "../../node/ProcessTitle.ts"
import type { LogWaiter, Waiter } from "../../ports/Waiter.ts"
import type { ChangeSignal } from "./ChangeSignal.ts"

/** What a log's waiter asks of its server. */
export interface ServerWatch {
  readonly region: string
  readonly clock: Clock.Clock
  /** Whether the log has ended in good order. */
  readonly stopped: () => boolean
  /** Since when the server is dead, in monotonic microseconds. */
  readonly unservedMicros: () => number | undefined
  /** How long clients wait for a server that continues the log of a dead one. */
  readonly deadlineMillis: number
}

/**
 * Waits for changes of the log. The wait fails once the log has ended, or has had no server for longer than the deadline.
 */
export const makeLogWaiter = (signal: ChangeSignal, watch: ServerWatch): LogWaiter => {
  const { clock, deadlineMillis, region } = watch
  let told: number | undefined
  const server = { pid: process.pid, name: processTitle() }
  const leftMillis = (): number => {
    const since = watch.unservedMicros()
    return since === undefined
      ? Infinity
      : deadlineMillis - (Number(clock.monotonicTimeNanosUnsafe() / 1000n) - since) / 1000
  }
  const lost = () => {
    if (watch.stopped()) return new RegionLost({ region, reason: "stopped" })
    return leftMillis() <= 0 ? new RegionLost({ region, reason: "died", server }) : undefined
  }
  const awaitsServer = () => !watch.stopped() && watch.unservedMicros() !== undefined && leftMillis() > 0
  // One line for each death, unless another server continues the log soon.
  const toldOnce = Effect.suspend(() => {
    const since = watch.unservedMicros()
    if (!awaitsServer() || told === since) return Effect.void
    told = since
    return Effect.logWarning(awaitingServerLine(region, server, deadlineMillis))
  })
  const change = (round: Latch.Latch): Effect.Effect<void> => {
    const left = leftMillis()
    if (left === Infinity) return round.await
    const quiet = Math.min(quietMillis, left)
    const telling = Effect.andThen(Effect.sleep(quiet), Effect.andThen(toldOnce, Effect.sleep(left - quiet)))
    return Effect.raceFirst(round.await, telling)
  }
  const until = <A>(check: () => A | undefined) => {
    const attempt: Effect.Effect<A, RegionLost> = Effect.suspend(() => {
      const round = signal.round
      const found = check()
      if (found !== undefined) return Effect.succeed(found)
      const gone = lost()
      return gone === undefined ? Effect.flatMap(change(round), () => attempt) : Effect.fail(gone)
    })
    return attempt
  }
  return {
    until,
    untilEnded: until,
    untilLost: until<never>(() => undefined),
    lost,
    awaitsServer,
    untilServedOrLost: Effect.suspend(() =>
      awaitsServer() ? Effect.asVoid(until((): true | undefined => awaitsServer() ? undefined : true)) : Effect.void
    ),
    server: () => {
      const serving = { ...server, serving: true, own: true }
      return watch.unservedMicros() === undefined ? serving : { ...serving, own: false, gone: true }
    }
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
