/**
 * Waits on a region from the event loop: registers, arms the doorbell, checks once more, and sleeps only then.
 */
import * as Effect from "effect/Effect"
import { type RegionHandle, serverState, sleepsFor } from "../../../native/binding.ts"
import { RegionLost } from "../../../services/CxlMemory.ts"
import { processIdOf } from "../../../services/schema/ProcessId.ts"
import type { Server } from "../../../services/schema/Server.ts"
import type { LogWaiter, Waiter } from "../../ports/Waiter.ts"

interface Waiting {
  /** What it wants to be rung for. */
  readonly reasons: number
  /** Ends when the log's server is gone. Rings have none: they live as long as the region. */
  readonly ofLog: boolean
  /** Looks again; true when it found what it waits for and was resumed. */
  readonly look: () => boolean
  readonly lose: (lost: RegionLost) => void
}

export class RegionWaiter implements LogWaiter {
  readonly #handle: RegionHandle
  readonly #region: string
  readonly #waiting = new Set<Waiting>()
  /** What the doorbell is armed for, until it has rung. */
  #armed = 0
  /** Readers here, by ring. */
  readonly #readers = new Map<number, number>()
  #isNudged = false
  #isWaking = false
  #closed = false

  constructor(handle: RegionHandle, region: string) {
    this.#handle = handle
    this.#region = region
    handle.startWaiter(() => this.#woken())
  }

  readonly until = <A>(check: () => A | undefined): Effect.Effect<A, RegionLost> =>
    this.untilRungFor(sleepsFor.data, check, true)

  /** `until`, for something else than data: the doorbell stays silent for what does not concern it. */
  untilRungFor<A>(reasons: number, check: () => A | undefined, ofLog: boolean): Effect.Effect<A, RegionLost> {
    return Effect.callback<A, RegionLost>((resume) => {
      if (this.#closed) return resume(Effect.fail(this.#lost("stopped")))
      const first = check()
      if (first !== undefined) return resume(Effect.succeed(first))
      const waiting: Waiting = {
        reasons,
        ofLog,
        look: () => {
          const found = check()
          if (found === undefined) return false
          this.#waiting.delete(waiting)
          resume(Effect.succeed(found))
          return true
        },
        lose: (lost) => {
          this.#waiting.delete(waiting)
          resume(Effect.fail(lost))
        }
      }
      this.#waiting.add(waiting)
      // Armed before the check above, or about to be woken: then all checks run again anyhow.
      if (!this.#isWaking && (this.#armed & reasons) !== reasons) this.#arm()
      return Effect.sync(() => {
        if (this.#waiting.delete(waiting)) this.#restIfIdle()
      })
    })
  }

  readonly untilLost: Effect.Effect<never, RegionLost> = Effect.suspend(() => {
    const lost = this.lost()
    return lost === undefined ? this.untilRungFor<never>(sleepsFor.end, () => undefined, true) : Effect.fail(lost)
  })

  // Before the log is served its creator's end is the end of it, too.
  lost(): RegionLost | undefined {
    if (this.#closed) return this.#lost("stopped")
    const found = this.#handle.server()
    const { alive, name, pid, state } = found
    if (state === serverState.stopped) return this.#lost("stopped")
    if (state === serverState.serving || (state === serverState.unknown && alive)) return undefined
    const server = pid === 0 ? {} : { server: { ...processIdOf(found), name } }
    return new RegionLost({ region: this.#region, reason: "died", ...server })
  }

  server(): Server | undefined {
    if (this.#closed) return undefined
    const found = this.#handle.server()
    const { name, own, pid, state } = found
    return pid === 0 ? undefined : { serving: state !== serverState.unknown, ...processIdOf(found), name, own }
  }

  /** The same waiting for what rings do, whether or not a log is served here. */
  forRings(reasons: number): Waiter {
    return { until: (check) => this.untilRungFor(reasons, check, false) }
  }

  /** This process reads that ring from now on. */
  reads(ring: number): void {
    this.#readers.set(ring, (this.#readers.get(ring) ?? 0) + 1)
  }

  /** A reader of that ring in this process has closed. */
  leaves(ring: number): void {
    const readers = (this.#readers.get(ring) ?? 0) - 1
    if (readers > 0) this.#readers.set(ring, readers)
    else this.#readers.delete(ring)
  }

  /** This process has written to that ring: those of its own that wait look again, without a ring of the doorbell. */
  nudge(ring: number): void {
    if (this.#isNudged || this.#waiting.size === 0 || !this.#readers.has(ring)) return
    this.#isNudged = true
    setImmediate(this.#nudged)
  }

  readonly #nudged = (): void => {
    this.#isNudged = false
    if (this.#closed) return
    for (const waiting of this.#waiting) waiting.look()
    this.#restIfIdle()
  }

  /** The attachment has ended, and every wait with it. */
  get isClosed(): boolean {
    return this.#closed
  }

  /** Ends every wait: nothing is called back afterwards. */
  close(): void {
    this.#closed = true
    for (const waiting of this.#waiting) waiting.lose(this.#lost("stopped"))
  }

  // What changed before the doorbell was armed did not ring it: so all look again afterwards.
  #arm(): void {
    let reasons = 0
    for (const waiting of this.#waiting) reasons |= waiting.reasons
    this.#handle.armWaiter(reasons)
    this.#armed = reasons
    for (const waiting of this.#waiting) waiting.look()
    this.#restIfIdle()
  }

  #woken(): void {
    if (this.#closed) return
    this.#armed = 0
    // Armed once, after all checks, for the waits that go on.
    this.#isWaking = true
    try {
      for (const waiting of this.#waiting) waiting.look()
    } finally {
      this.#isWaking = false
    }
    this.#loseLog()
    if (this.#waiting.size > 0) this.#arm()
    else this.#restIfIdle()
  }

  #restIfIdle(): void {
    if (this.#waiting.size > 0 || this.#closed) return
    this.#armed = 0
    this.#handle.disarmWaiter()
  }

  #loseLog(): void {
    const ofLog = [...this.#waiting].filter((waiting) => waiting.ofLog)
    if (ofLog.length === 0 || this.#handle.serverState() === serverState.serving) return
    const lost = this.lost()
    if (lost !== undefined) { for (const waiting of ofLog) waiting.lose(lost) }
  }

  #lost(reason: "died" | "stopped"): RegionLost {
    return new RegionLost({ region: this.#region, reason })
  }
}
