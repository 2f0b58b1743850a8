/**
 * Wakes the fibers that wait for a change, without a lost wake-up.
 */
import * as Latch from "effect/Latch"

/**
 * Each change opens the present round and begins another. A fiber takes the round before its check and awaits it after:
 * a change between the two has opened that round, so it is not missed.
 */
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
