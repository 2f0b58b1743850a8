/**
 * Keeps the deadlines of all waits of one member with a single timer: a timer for each wait would cost more than the
 * wait.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Runs an effect in a fiber of its own, and interrupts the previous one. */
export type Alarm = (effect: Effect.Effect<void>) => void

export class DeadlineTimer {
  readonly #clock: Clock.Clock
  readonly #alarm: Alarm
  readonly #expire: (nowMillis: number) => number
  #nextMillis = Infinity

  /** `expire` ends the waits whose deadline has passed, and returns the time of the next deadline. */
  constructor(clock: Clock.Clock, alarm: Alarm, expire: (nowMillis: number) => number) {
    this.#clock = clock
    this.#alarm = alarm
    this.#expire = expire
  }

  get nowMillis(): number {
    return this.#clock.currentTimeMillisUnsafe()
  }

  /** Adds a deadline, and sets the timer to it if it is the next. Its wait may have ended when it passes. */
  add(untilMillis: number): void {
    if (untilMillis >= this.#nextMillis) return
    this.#nextMillis = untilMillis
    const sleepMillis = Math.max(1, untilMillis - this.nowMillis)
    this.#alarm(Effect.andThen(Effect.sleep(sleepMillis), Effect.sync(() => this.tick(this.nowMillis))))
  }

  /** Ends the waits whose deadline has passed by that time, and sets the timer to the next deadline. */
  tick(nowMillis: number): void {
    this.#nextMillis = Infinity
    this.add(this.#expire(nowMillis))
  }
}
