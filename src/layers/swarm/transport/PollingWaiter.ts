/**
 * Waits for the rings of a member by polling: for a moment before it sleeps, or without end.
 *
 * A member reads many rings and waits for each. All are polled together, once a turn of the event loop, so that a turn
 * costs the same however many fibers wait.
 */
import * as Effect from "effect/Effect"
import type { WaitStrategy } from "../../../services/Ring.ts"
import type { RingPorts } from "../../ports/RingPorts.ts"
import type { Waiter } from "../../ports/Waiter.ts"

/** The same rings, with waiters that follow the strategy. */
export const pollingBy = (strategy: WaitStrategy, ring: RingPorts["Service"]): RingPorts["Service"] => {
  if (strategy === "park") return ring
  const polling = new PollingWaiter(strategy === "spin")
  return {
    ...ring,
    waiter: pollingFirst(polling, ring.waiter),
    cursorWaiter: pollingFirst(polling, ring.cursorWaiter)
  }
}

// --- internal ---

/** How long one turn of polling blocks the event loop. */
const turnMicros = 5

/** The number of unsuccessful turns after which `adaptive` sleeps. */
const turnsMax = 4

/** Rounds of checks between two readings of the clock, which costs as much as a check. */
const roundsPerClock = 2

interface Poll {
  /** Runs the check. True when it succeeded, and the fiber was resumed. */
  readonly tick: () => boolean
  readonly giveUp: () => void
}

class PollingWaiter {
  readonly #endless: boolean
  readonly #polls = new Set<Poll>()
  #scheduled = false
  #turnsInVain = 0

  constructor(endless: boolean) {
    this.#endless = endless
  }

  /** The first value of `check` that is not `undefined`; `undefined` when it is time to sleep. */
  until<A>(check: () => A | undefined): Effect.Effect<A | undefined> {
    return Effect.callback((resume) => {
      const first = check()
      if (first !== undefined) return resume(Effect.succeed(first))
      const poll: Poll = {
        tick: () => {
          const found = check()
          if (found === undefined) return false
          this.#polls.delete(poll)
          resume(Effect.succeed(found))
          return true
        },
        giveUp: () => {
          this.#polls.delete(poll)
          resume(Effect.succeed(undefined))
        }
      }
      this.#polls.add(poll)
      this.#schedule()
      return Effect.sync(() => void this.#polls.delete(poll))
    })
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    this.#scheduled = false
    this.#turnsInVain = this.#find() ? 0 : this.#turnsInVain + 1
    if (!this.#endless && this.#turnsInVain >= turnsMax) this.#giveUp()
    if (this.#polls.size > 0) this.#schedule()
  }

  // Stops at the first success, so that the resumed fiber has the event loop next.
  #find(): boolean {
    const until = performance.now() + turnMicros / 1000
    do {
      for (let round = 0; round < roundsPerClock; round += 1) {
        for (const { tick } of this.#polls) if (tick()) return true
      }
    } while (performance.now() < until)
    return false
  }

  #giveUp(): void {
    this.#turnsInVain = 0
    for (const { giveUp } of Array.from(this.#polls)) giveUp()
  }
}

const pollingFirst = (polling: PollingWaiter, asleep: Waiter): Waiter => ({
  until: (check) =>
    Effect.flatMap(polling.until(check), (found) => found === undefined ? asleep.until(check) : Effect.succeed(found))
})
