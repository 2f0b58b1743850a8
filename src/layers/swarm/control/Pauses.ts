/**
 * How long to wait before something that keeps failing is done, or told, again: not at all the first time, then twice as
 * long each time, up to a second. What has not failed for a while begins anew.
 */

const leastMillis = 10
const mostMillis = 1000
const quietMillis = 10_000

export class Pauses {
  #nextMillis = 0
  #endsMillis = -Infinity

  /** It failed just now: so long is to be waited. */
  after(nowMillis: number): number {
    if (nowMillis - this.#endsMillis > quietMillis) this.#nextMillis = 0
    const pauseMillis = this.#nextMillis
    this.#nextMillis = Math.min(mostMillis, Math.max(leastMillis, 2 * pauseMillis))
    this.#endsMillis = nowMillis + pauseMillis
    return pauseMillis
  }
}
