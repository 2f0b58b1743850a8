/**
 * How long a member looks at its rings before it sleeps.
 *
 * To look costs a core for that long; to sleep costs a wake-up. So a member that looks for about as long as a wake-up takes
 * never pays more than twice what it would have paid with foresight. One that waits long each time, an idle one above all,
 * soon does not look at all.
 */

export interface Look {
  /** How long to look. */
  readonly micros: number
  /** It found something while it looked. */
  readonly found: () => void
  /** It slept, and was woken so long after it had found something. */
  readonly slept: (afterMicros: number) => void
}

/** Never sleeps. */
export const lookEndlessly: Look = {
  micros: Infinity,
  found: () => undefined,
  slept: () => undefined
}

/** About what a wake-up costs. */
const wakeUpMicros = 100

/** A sleep no longer than this may have been two sides that wait for each other's wake-ups: looking might save both. */
const shortMicros = 4 * wakeUpMicros

/** Too short to find anything. */
const leastMicros = 10

export class AdaptiveLook implements Look {
  readonly #longestMicros: number
  #micros: number

  /** Begins by looking, unless it never may. */
  constructor(may: boolean) {
    this.#longestMicros = may ? wakeUpMicros : 0
    this.#micros = this.#longestMicros
  }

  get micros(): number {
    return this.#micros
  }

  found(): void {
    this.#micros = this.#longestMicros
  }

  slept(afterMicros: number): void {
    const halved = this.#micros / 2
    if (afterMicros <= shortMicros) this.#micros = this.#longestMicros
    else this.#micros = halved < leastMicros ? 0 : halved
  }
}
