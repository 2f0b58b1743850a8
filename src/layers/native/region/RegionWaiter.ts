/**
 * Waits on a region from the event loop: registers, arms the doorbell, checks once more, and only then sleeps.
 */
import * as Effect from "effect/Effect"
import { type RegionHandle, serverState } from "../../../native/binding.ts"
import { RegionLost } from "../../../services/CxlMemory.ts"
import type { IsStirred, Waiter } from "../../ports/Waiter.ts"
import { Doorbell } from "./Doorbell.ts"

/**
 * Whether a wait is in vain: the loss with which it fails, or the milliseconds after which to ask again, while it is not
 * known whether another process continues the log.
 */
export type LossOf = () => RegionLost | number | undefined

interface Wait {
  /** The changes that it must be woken for, of `sleepsFor`. */
  readonly reasons: number
  /** For waits of the log. Rings have no server: they live as long as the region. */
  readonly lossOf: LossOf | undefined
  readonly isStirred: IsStirred
  /** Runs the check again, unless the wait is over; true when it succeeded and the fiber was resumed. */
  readonly recheck: () => boolean
  readonly lose: (lost: RegionLost) => void
}

interface WaitOptions {
  /** Default: always true. */
  readonly isStirred?: IsStirred | undefined
  readonly lossOf?: LossOf | undefined
}

const always: IsStirred = () => true

export class RegionWaiter {
  readonly #handle: RegionHandle
  readonly #region: string
  readonly #doorbell: Doorbell
  readonly #waits = new Set<Wait>()
  /** The reasons that the doorbell is armed for, until it rings. */
  #armed = 0
  /** Number of readers in this process, by ring. */
  readonly #readers = new Map<number, number>()
  #isNudged = false
  #isWaking = false
  /** Asks the waits of the log again whether they are in vain. */
  #asking: { readonly timer: NodeJS.Timeout; readonly dueMillis: number } | undefined
  #closed = false

  constructor(handle: RegionHandle, region: string, doorbell: "fifo" | "thread" = "fifo") {
    this.#handle = handle
    this.#region = region
    this.#doorbell = new Doorbell(handle, () => this.#woken(), doorbell)
  }

  /** Waits for changes of given kinds, of `sleepsFor`: no other change rings the doorbell. */
  untilRungFor<A>(
    reasons: number,
    check: () => A | undefined,
    { isStirred = always, lossOf }: WaitOptions = {}
  ): Effect.Effect<A, RegionLost> {
    return Effect.callback<A, RegionLost>((resume) => {
      if (this.#closed) return resume(Effect.fail(this.#ended))
      const first = check()
      if (first !== undefined) return resume(Effect.succeed(first))
      const wait: Wait = {
        reasons,
        lossOf,
        isStirred,
        recheck: () => {
          if (!this.#waits.has(wait)) return false
          const found = check()
          if (found === undefined) return false
          this.#waits.delete(wait)
          resume(Effect.succeed(found))
          return true
        },
        lose: (lost) => {
          this.#waits.delete(wait)
          resume(Effect.fail(lost))
        }
      }
      this.#waits.add(wait)
      // If the doorbell was armed before the check above, or all checks are about to run again, there is no need to
      // arm.
      if (!this.#isWaking && (this.#armed & reasons) !== reasons) this.#arm()
      return Effect.sync(() => {
        if (this.#waits.delete(wait)) this.#restIfIdle()
      })
    })
  }

  /** A waiter for changes of rings, which does not depend on the log's server. */
  forRings(reasons: number): Waiter {
    return { until: (check, isStirred) => this.untilRungFor(reasons, check, { isStirred }) }
  }

  /** Notes that a reader of that ring has opened in this process. */
  reads(ring: number): void {
    this.#readers.set(ring, (this.#readers.get(ring) ?? 0) + 1)
  }

  /** Notes that a reader of that ring in this process has closed. */
  leaves(ring: number): void {
    const readers = (this.#readers.get(ring) ?? 0) - 1
    if (readers > 0) this.#readers.set(ring, readers)
    else this.#readers.delete(ring)
  }

  /** After a write of this process to that ring: lets its own readers check again, without ringing the doorbell. */
  nudge(ring: number): void {
    if (this.#isNudged || this.#waits.size === 0 || !this.#readers.has(ring)) return
    this.#isNudged = true
    setImmediate(this.#nudged)
  }

  readonly #nudged = (): void => {
    this.#isNudged = false
    if (this.#closed) return
    // All of them: a glance does not see evictions, damage or the end of a ring, and no arming follows that would check.
    for (const wait of this.#waits) wait.recheck()
    this.#restIfIdle()
  }

  // Begins with the wait that began last: what was waited for again a moment ago is what changes most often, and its fiber
  // does not wait for glances at all the rest.
  #recheckStirred(): void {
    for (const wait of [...this.#waits].toReversed()) if (wait.isStirred()) wait.recheck()
  }

  /** True once the attachment has ended, and every wait with it. */
  get isClosed(): boolean {
    return this.#closed
  }

  /** Ends every wait: nothing is called back afterwards. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#asking?.timer)
    this.#doorbell.close()
    for (const wait of this.#waits) wait.lose(this.#ended)
  }

  // A change before the doorbell was armed did not ring it, so run all checks again after arming.
  #arm(): void {
    let reasons = 0
    for (const wait of this.#waits) reasons |= wait.reasons
    this.#doorbell.arm(reasons)
    this.#armed = reasons
    for (const wait of this.#waits) wait.recheck()
    this.#restIfIdle()
  }

  #woken(): void {
    if (this.#closed) return
    this.#armed = 0
    // Arm only once, after all that is stirred, for the waits that remain: all their checks follow the arming.
    this.#isWaking = true
    try {
      this.#recheckStirred()
    } finally {
      this.#isWaking = false
    }
    this.#loseLog()
    if (this.#waits.size > 0) this.#arm()
    else this.#restIfIdle()
  }

  #restIfIdle(): void {
    if (this.#waits.size > 0 || this.#closed) return
    this.#armed = 0
    this.#doorbell.disarm()
  }

  #loseLog(): void {
    const ofLog = [...this.#waits].filter((wait) => wait.lossOf !== undefined)
    if (this.#closed || ofLog.length === 0) return
    if (this.#handle.serverState() === serverState.serving) return
    for (const wait of ofLog) {
      const found = wait.lossOf?.()
      if (found instanceof RegionLost) wait.lose(found)
      else if (found !== undefined) this.#askAgain(found)
    }
  }

  #askAgain(inMillis: number): void {
    const dueMillis = performance.now() + inMillis
    if (this.#asking !== undefined && this.#asking.dueMillis <= dueMillis) return
    clearTimeout(this.#asking?.timer)
    const timer = setTimeout(() => {
      this.#asking = undefined
      this.#loseLog()
    }, Math.ceil(inMillis))
    // The waits themselves keep the process alive.
    timer.unref()
    this.#asking = { timer, dueMillis }
  }

  get #ended(): RegionLost {
    return new RegionLost({ region: this.#region, reason: "stopped" })
  }
}
