/**
 * Waits for the rings of a member by polling: for a while before it sleeps, or without end.
 *
 * A member reads many rings and waits for each. All its waits are polled together, once a turn of the event loop, and they
 * sleep together, in one wait of the region: so a member that looks is not rung, and a ring of the doorbell wakes it once.
 *
 * A member whose first turn has found nothing tells the region that it looks. One that adapts sleeps at once where too many
 * other processes look already.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import { availableParallelism } from "node:os"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import type { WaitStrategy } from "../../../services/Ring.ts"
import type { RingPorts } from "../../ports/RingPorts.ts"
import type { IsStirred, Waiter } from "../../ports/Waiter.ts"
import { AdaptiveLook, type Look, lookEndlessly } from "./AdaptiveLook.ts"

/** The same rings, with waiters that follow the strategy until the scope closes. */
export const pollingBy = (
  strategy: WaitStrategy,
  ring: RingPorts["Service"]
): Effect.Effect<RingPorts["Service"], never, Scope.Scope> =>
  strategy === "park" ? Effect.succeed(ring) : Effect.map(FiberSet.makeRuntime<never, void>(), (run) => {
    const lookout = new Lookout(ring)
    const polling = (asleep: Waiter) => new PollingWaiter(asleep, { look: lookBy(strategy), lookout, run })
    return { ...ring, waiter: polling(ring.waiter), cursorWaiter: polling(ring.cursorWaiter) }
  })

// --- internal ---

/** How long one turn of polling blocks the event loop. */
const turnMicros = 10

/** Rounds of checks between two readings of the clock, which costs as much as a check. */
const roundsPerClock = 4

const lookBy = (strategy: WaitStrategy): Look =>
  strategy === "spin" ? lookEndlessly : new AdaptiveLook(availableParallelism())

/** Whether this process looks, by any of its waiters, as the other processes of the region see it. */
class Lookout {
  readonly #region: Pick<RingPorts["Service"], "beginLook" | "endLook">
  readonly #looking = new Set<PollingWaiter>()

  constructor(region: Pick<RingPorts["Service"], "beginLook" | "endLook">) {
    this.#region = region
  }

  /** Whether that waiter may look on. */
  looks(waiter: PollingWaiter, others: number): boolean {
    if (this.#looking.size === 0 && !this.#region.beginLook(others)) return false
    this.#looking.add(waiter)
    return true
  }

  looksNoMore(waiter: PollingWaiter): void {
    if (this.#looking.delete(waiter) && this.#looking.size === 0) this.#region.endLook()
  }
}

/** A look that takes so long was not looking all the time. */
const disturbedMicros = 200

interface Poll {
  readonly isStirred: IsStirred
  /** Runs the check. True when it succeeded, and the fiber was resumed. */
  readonly tick: () => boolean
  readonly lose: (lost: RegionLost) => void
}

type Run = (effect: Effect.Effect<void>) => Fiber.Fiber<void>

interface Ways {
  readonly look: Look
  readonly lookout: Lookout
  readonly run: Run
}

class PollingWaiter implements Waiter {
  readonly #asleep: Waiter
  readonly #look: Look
  readonly #lookout: Lookout
  readonly #run: Run
  readonly #polls = new Set<Poll>()
  #isLooking = false
  #sleeping: Fiber.Fiber<void> | undefined
  /** When a check last succeeded, or the first of the waits began. */
  #sinceMicros = 0

  constructor(asleep: Waiter, { look, lookout, run }: Ways) {
    this.#asleep = asleep
    this.#look = look
    this.#lookout = lookout
    this.#run = run
  }

  until<A>(check: () => A | undefined, isStirred: IsStirred = always): Effect.Effect<A, RegionLost> {
    return Effect.callback((resume) => {
      const first = check()
      if (first !== undefined) return resume(Effect.succeed(first))
      const poll: Poll = {
        isStirred,
        tick: () => {
          const found = check()
          if (found === undefined) return false
          this.#polls.delete(poll)
          // Its fiber goes on within `resume`. While it handles what was found another process may look.
          this.#lookout.looksNoMore(this)
          resume(Effect.succeed(found))
          return true
        },
        lose: (lost) => {
          this.#polls.delete(poll)
          resume(Effect.fail(lost))
        }
      }
      this.#polls.add(poll)
      // A wait that begins while the others sleep sleeps with them: the doorbell is armed for all.
      if (!this.#isLooking && this.#sleeping === undefined) this.#begin()
      return Effect.sync(() => this.#remove(poll))
    })
  }

  // --- internal ---

  #remove(poll: Poll): void {
    this.#polls.delete(poll)
    if (this.#polls.size > 0) return
    this.#lookout.looksNoMore(this)
    this.#sleeping?.interruptUnsafe()
    this.#sleeping = undefined
  }

  #begin(): void {
    this.#sinceMicros = nowMicros()
    this.#schedule()
  }

  #schedule(): void {
    this.#isLooking = true
    setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    this.#isLooking = false
    if (this.#polls.size === 0) return
    if (this.#find()) {
      this.#lookout.looksNoMore(this)
      this.#look.found()
      this.#sinceMicros = nowMicros()
    } else if (this.#isLongEnough || !this.#lookout.looks(this, this.#look.others)) return this.#sleep()
    if (this.#polls.size > 0) this.#schedule()
  }

  get #isLongEnough(): boolean {
    const now = nowMicros()
    return now - this.#sinceMicros >= this.#look.microsAt(now)
  }

  // Runs every check once, and then those whose rings are stirred. Stops at the first success, so that the resumed fiber
  // has the event loop next.
  #find(): boolean {
    if (this.#tick(always)) return true
    let now = nowMicros()
    const until = now + Math.min(turnMicros, this.#look.microsAt(now))
    while (now < until) {
      for (let round = 0; round < roundsPerClock; round += 1) if (this.#tick(isStirred)) return true
      const before = now
      now = nowMicros()
      if (now - before > disturbedMicros) this.#look.disturbed(now)
    }
    return false
  }

  // A check that ends nothing may still have read all that stirred its ring.
  #tick(isWorthIt: (poll: Poll) => boolean): boolean {
    for (const poll of this.#polls) {
      if (!isWorthIt(poll)) continue
      const wasStirred = poll.isStirred()
      if (poll.tick() || (wasStirred && !poll.isStirred())) return true
    }
    return false
  }

  #sleep(): void {
    this.#lookout.looksNoMore(this)
    const isAnyStirred = () => {
      for (const { isStirred } of this.#polls) if (isStirred()) return true
      return false
    }
    const slept = this.#asleep.until(() => this.#tick(always) ? true : undefined, isAnyStirred)
    const woken = Effect.match(slept, { onFailure: (lost) => this.#lose(lost), onSuccess: () => this.#woken() })
    const sleeping = this.#run(woken)
    if (sleeping.pollUnsafe() === undefined) this.#sleeping = sleeping
  }

  #woken(): void {
    this.#sleeping = undefined
    this.#look.slept(nowMicros() - this.#sinceMicros)
    if (this.#polls.size > 0 && !this.#isLooking) this.#begin()
  }

  #lose(lost: RegionLost): void {
    this.#sleeping = undefined
    for (const { lose } of this.#polls) lose(lost)
  }
}

const always = (): true => true

const isStirred = (poll: Poll): boolean => poll.isStirred()

const nowMicros = (): number => 1000 * performance.now()
