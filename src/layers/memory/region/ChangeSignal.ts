/**
 * Waiting for a change of the log without a lost wake-up.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { RegionLost } from "../../../services/CxlMemory.ts"
import type { LogWaiter } from "../../../services/Lane.ts"
import { processTitle } from "../../node/ProcessTitle.ts"

/** Opened by every change; whoever waits looks again. A round that was opened stays open for those who saw it closed. */
export class ChangeSignal {
  #round = Latch.makeUnsafe(false)

  ring(): void {
    const round = this.#round
    this.#round = Latch.makeUnsafe(false)
    round.openUnsafe()
  }

  /** The round that the next {@link ring} opens: taken before a check, awaited after it. */
  get round(): Latch.Latch {
    return this.#round
  }
}

/** A {@link LogWaiter} that looks again at each ring and gives up once `stopped` says so. */
export const makeWaiter = (bell: ChangeSignal, region: string, stopped: () => boolean): LogWaiter => {
  const lost = () => stopped() ? new RegionLost({ region, reason: "stopped" }) : undefined
  const until = <A>(check: () => A | undefined) => {
    const attempt: Effect.Effect<A, RegionLost> = Effect.suspend(() => {
      const round = bell.round
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
