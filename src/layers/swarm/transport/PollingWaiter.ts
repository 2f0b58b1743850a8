/**
 * How a member waits for its rings: asleep, or looking at all of them over and over, for a while or for ever.
 *
 * A member reads many rings and waits for each. They are looked at together, one turn of the event loop after the other,
 * so that a look costs the same however many fibers wait.
 */
import * as Effect from "effect/Effect"
import type { WaitStrategy } from "../../../services/Ring.ts"
import type { RingPorts } from "../../ports/RingPorts.ts"
import type { Waiter } from "../../ports/Waiter.ts"

/** The rings, waited for in that way. */
export const pollingBy = (strategy: WaitStrategy, ring: RingPorts["Service"]): RingPorts["Service"] => {
  if (strategy === "park") return ring
  const looking = new PollingWaiter(strategy === "spin")
  return {
    ...ring,
    waiter: lookingFirst(looking, ring.waiter),
    cursorWaiter: lookingFirst(looking, ring.cursorWaiter)
  }
}

// --- internal ---

/** How long the event loop is kept from its other work: what a look has set going may need it. */
const turnMicros = 5

/** Turns without a find after which `adaptive` sleeps. */
const turnsMax = 4

/** The clock costs as much as a look. */
const roundsPerClock = 2

interface Look {
  /** True when it found what it waits for and was resumed. */
  readonly look: () => boolean
  readonly giveUp: () => void
}

class PollingWaiter {
  readonly #endless: boolean
  readonly #looks = new Set<Look>()
  #scheduled = false
  #turnsInVain = 0

  constructor(endless: boolean) {
    this.#endless = endless
  }

  /** The first value of `check`; `undefined` when it was looked for long enough. */
  until<A>(check: () => A | undefined): Effect.Effect<A | undefined> {
    return Effect.callback((resume) => {
      const first = check()
      if (first !== undefined) return resume(Effect.succeed(first))
      const look: Look = {
        look: () => {
          const found = check()
          if (found === undefined) return false
          this.#looks.delete(look)
          resume(Effect.succeed(found))
          return true
        },
        giveUp: () => {
          this.#looks.delete(look)
          resume(Effect.succeed(undefined))
        }
      }
      this.#looks.add(look)
      this.#schedule()
      return Effect.sync(() => void this.#looks.delete(look))
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
    if (this.#looks.size > 0) this.#schedule()
  }

  // Whoever is resumed has the event loop next.
  #find(): boolean {
    const until = performance.now() + turnMicros / 1000
    do {
      for (let round = 0; round < roundsPerClock; round += 1) {
        for (const { look } of this.#looks) if (look()) return true
      }
    } while (performance.now() < until)
    return false
  }

  #giveUp(): void {
    this.#turnsInVain = 0
    for (const { giveUp } of Array.from(this.#looks)) giveUp()
  }
}

const lookingFirst = (looking: PollingWaiter, asleep: Waiter): Waiter => ({
  until: (check) =>
    Effect.flatMap(looking.until(check), (found) => found === undefined ? asleep.until(check) : Effect.succeed(found))
})
