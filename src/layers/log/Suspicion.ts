/**
 * Judges whether a server that lives does not run: its pulse has not moved over so many looks in a row.
 */

/** How often a standby looks. A server that runs moves its pulse at least ten times a second. */
export const lookMillis = 50

/** The least time of suspicion: several beats of the pulse. */
export const suspectMillisMin = 500

export class Suspicion {
  readonly #looksNeeded: number
  #epoch = -1
  #pulse = -1
  #still = 0
  #lookedMillis = -Infinity

  constructor(suspectMillis: number) {
    this.#looksNeeded = Math.ceil(suspectMillis / lookMillis)
  }

  /**
   * One look at the server of this epoch. True when it is suspect. It counts looks and not time: while this process was
   * stopped itself it has seen nothing, and a look that comes too late begins anew.
   */
  look(epoch: number, pulse: number, nowMillis: number): boolean {
    const isLate = nowMillis - this.#lookedMillis > latestMillis
    const isStill = epoch === this.#epoch && pulse === this.#pulse && !isLate
    this.#still = isStill ? this.#still + 1 : 0
    this.#epoch = epoch
    this.#pulse = pulse
    this.#lookedMillis = nowMillis
    return this.#still >= this.#looksNeeded
  }
}

// --- internal ---

/** A machine that is short of processors delays looks by a few times their interval. */
const latestMillis = 5 * lookMillis
