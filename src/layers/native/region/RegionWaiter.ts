/**
 * Waits on a region from the event loop: registers, arms the doorbell, checks once more, and only then sleeps.
 */
import * as Effect from "effect/Effect"
import { type RegionHandle, serverState, sleepsFor } from "../../../native/binding.ts"
import { RegionLost } from "../../../services/CxlMemory.ts"
import { processIdOf } from "../../../services/schema/ProcessId.ts"
import type { Server } from "../../../services/schema/Server.ts"
import type { LogWaiter, Waiter } from "../../ports/Waiter.ts"

interface Wait {
  /** The changes that it must be woken for, of `sleepsFor`. */
  readonly reasons: number
  /** Whether it fails when the log's server is gone. Rings have no server: they live as long as the region. */
  readonly ofLog: boolean
  /** Runs the check again; true when it succeeded and the fiber was resumed. */
  readonly recheck: () => boolean
  readonly lose: (lost: RegionLost) => void
}

export class RegionWaiter implements LogWaiter {
  readonly #handle: RegionHandle
  readonly #region: string
  readonly #waits = new Set<Wait>()
  /** The reasons that the doorbell is armed for, until it rings. */
  #armed = 0
  /** Number of readers in this process, by ring. */
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

  /** `until` for changes of given kinds: no other change rings the doorbell. */
  untilRungFor<A>(reasons: number, check: () => A | undefined, ofLog: boolean): Effect.Effect<A, RegionLost> {
    return Effect.callback<A, RegionLost>((resume) => {
      if (this.#closed) return resume(Effect.fail(this.#lost("stopped")))
      const first = check()
      if (first !== undefined) return resume(Effect.succeed(first))
      const wait: Wait = {
        reasons,
        ofLog,
        recheck: () => {
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

  readonly untilLost: Effect.Effect<never, RegionLost> = Effect.suspend(() => {
    const lost = this.lost()
    return lost === undefined ? this.untilRungFor<never>(sleepsFor.end, () => undefined, true) : Effect.fail(lost)
  })

  // Before the log has a server, the death of its creator counts as the server's.
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

  /** A waiter for changes of rings, which does not depend on the log's server. */
  forRings(reasons: number): Waiter {
    return { until: (check) => this.untilRungFor(reasons, check, false) }
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
    for (const wait of this.#waits) wait.recheck()
    this.#restIfIdle()
  }

  /** True once the attachment has ended, and every wait with it. */
  get isClosed(): boolean {
    return this.#closed
  }

  /** Ends every wait: nothing is called back afterwards. */
  close(): void {
    this.#closed = true
    for (const wait of this.#waits) wait.lose(this.#lost("stopped"))
  }

  // A change before the doorbell was armed did not ring it, so run all checks again after arming.
  #arm(): void {
    let reasons = 0
    for (const wait of this.#waits) reasons |= wait.reasons
    this.#handle.armWaiter(reasons)
    this.#armed = reasons
    for (const wait of this.#waits) wait.recheck()
    this.#restIfIdle()
  }

  #woken(): void {
    if (this.#closed) return
    this.#armed = 0
    // Arm only once, after all checks, for the waits that remain.
    this.#isWaking = true
    try {
      for (const wait of this.#waits) wait.recheck()
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
    this.#handle.disarmWaiter()
  }

  #loseLog(): void {
    const ofLog = [...this.#waits].filter((wait) => wait.ofLog)
    if (ofLog.length === 0 || this.#handle.serverState() === serverState.serving) return
    const lost = this.lost()
    if (lost !== undefined) { for (const wait of ofLog) wait.lose(lost) }
  }

  #lost(reason: "died" | "stopped"): RegionLost {
    return new RegionLost({ region: this.#region, reason })
  }
}
