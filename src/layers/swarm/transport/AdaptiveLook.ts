/**
 * How long a member looks at its rings before it sleeps.
 *
 * To look costs a core for that long; to sleep costs a wake-up. So a member that looks for about as long as a wake-up takes
 * never pays more than twice what it would have paid with foresight. One that waits long each time, an idle one above all,
 * soon does not look at all.
 */

export interface Look {
  /** How many other processes of the region may look meanwhile. */
  readonly others: number
  /** For how long to look from now on. */
  readonly microsAt: (nowMicros: number) => number
  /** It found something while it looked. */
  readonly found: () => void
  /** It slept, and was woken so long after it had found something. */
  readonly slept: (afterMicros: number) => void
  /** It lost the processor while it looked. */
  readonly disturbed: (nowMicros: number) => void
}

/** Never sleeps. */
export const lookEndlessly: Look = {
  others: 0xffff,
  microsAt: () => Infinity,
  found: () => undefined,
  slept: () => undefined,
  disturbed: () => undefined
}

/** About what a wake-up costs. */
const wakeUpMicros = 100

/** A sleep no longer than this may have been two sides that wait for each other's wake-ups: looking might save both. */
const shortMicros = 4 * wakeUpMicros

/** Too short to find anything. */
const leastMicros = 10

/** For how long it does not look after it has lost the processor: at first, and at most. */
const firstPauseMicros = 10_000
const longestPauseMicros = 1_000_000

export class AdaptiveLook implements Look {
  readonly others: number
  readonly #longestMicros: number
  #micros: number
  #pauseMicros = firstPauseMicros
  #pausedUntilMicros = 0

  /** Begins by looking. On a single core it never looks: no other process could write meanwhile. */
  constructor(cores: number) {
    // With this one they stay below the number of cores, so that what they look for has a core to be written on.
    this.others = Math.max(0, cores - 2)
    this.#longestMicros = cores > 1 ? wakeUpMicros : 0
    this.#micros = this.#longestMicros
  }

  microsAt(nowMicros: number): number {
    return nowMicros < this.#pausedUntilMicros ? 0 : this.#micros
  }

  found(): void {
    this.#micros = this.#longestMicros
  }

  slept(afterMicros: number): void {
    const halved = this.#micros / 2
    if (afterMicros <= shortMicros) this.#micros = this.#longestMicros
    else this.#micros = halved < leastMicros ? 0 : halved
  }

  // Other work needs the core, perhaps that of the very process whose message is looked for: a process that sleeps is
  // scheduled at once when it is woken, one that has used up its time by looking is not. The pauses grow while each look is
  // disturbed.
  disturbed(nowMicros: number): void {
    const isAgain = nowMicros - this.#pausedUntilMicros < 2 * this.#pauseMicros
    this.#pauseMicros = isAgain ? Math.min(longestPauseMicros, 2 * this.#pauseMicros) : firstPauseMicros
    this.#pausedUntilMicros = nowMicros + this.#pauseMicros
  }
}
