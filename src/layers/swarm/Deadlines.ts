/**
 * The deadlines of all that one member waits for, with a single timer: one for each would cost more than what is waited
 * for.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Runs beside everything else, instead of what was given to it before. */
export type Alarm = (effect: Effect.Effect<void>) => void

/** What a timer can wait for at once. */
const timerMillisMax = 2 ** 31 - 1

export class Deadlines {
  readonly #clock: Clock.Clock
  readonly #alarm: Alarm
  readonly #expire: (nowMillis: number) => number
  #nextMillis = Infinity

  /** `expire` ends what is late, and says when the next one will be. */
  constructor(clock: Clock.Clock, alarm: Alarm, expire: (nowMillis: number) => number) {
    this.#clock = clock
    this.#alarm = alarm
    this.#expire = expire
  }

  get nowMillis(): number {
    return this.#clock.currentTimeMillisUnsafe()
  }

  /** Something must be over by then. It may end earlier: then the timer rings for nothing. */
  add(untilMillis: number): void {
    if (untilMillis >= this.#nextMillis) return
    this.#nextMillis = untilMillis
    const sleepMillis = Math.min(Math.max(1, untilMillis - this.nowMillis), timerMillisMax)
    this.#alarm(Effect.andThen(Effect.sleep(sleepMillis), Effect.sync(() => this.look(this.nowMillis))))
  }

  look(nowMillis: number): void {
    this.#nextMillis = Infinity
    this.add(this.#expire(nowMillis))
  }
}
