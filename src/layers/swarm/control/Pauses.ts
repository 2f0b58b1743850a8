/**
 * Paces repeated failures: no pause after the first failure, then pauses that double up to a second. After a while
 * without a failure the pauses start over.
 */

const leastMillis = 10
const mostMillis = 1000
const quietMillis = 10_000

export class Pauses {
  #nextMillis = 0
  #endsMillis = -Infinity

  /** Notes a failure, and returns how long to wait before the next try. */
  after(nowMillis: number): number {
    if (nowMillis - this.#endsMillis > quietMillis) this.#nextMillis = 0
    const pauseMillis = this.#nextMillis
    this.#nextMillis = Math.min(mostMillis, Math.max(leastMillis, 2 * pauseMillis))
    this.#endsMillis = nowMillis + pauseMillis
    return pauseMillis
  }
}
