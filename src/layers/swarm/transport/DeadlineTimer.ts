/**
 * The deadlines of all that one member waits for, with a single timer: one for each would cost more than what is waited
 * for.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Runs beside everything else, instead of what was given to it before. */
export type Alarm = (effect: Effect.Effect<void>) => void

export class DeadlineTimer {
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

  /** Something must be over by then: the timer is set to it if it is the next. It may ring for nothing. */
  add(untilMillis: number): void {
    if (untilMillis >= this.#nextMillis) return
    this.#nextMillis = untilMillis
    const sleepMillis = Math.max(1, untilMillis - this.nowMillis)
    this.#alarm(Effect.andThen(Effect.sleep(sleepMillis), Effect.sync(() => this.look(this.nowMillis))))
  }

  /** Ends what is late by that time, and sets the timer to what is next. */
  look(nowMillis: number): void {
    this.#nextMillis = Infinity
    this.add(this.#expire(nowMillis))
  }
}
