/**
 * Runs effects one after the other, the first at once, so that the answers to one call keep their order and no other
 * call waits for them.
 */
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** Starts an effect at once, in the scope that the runner was made in. */
export type Run = (effect: Effect.Effect<void>) => Fiber.Fiber<void>

export class SerialRunner {
  readonly #run: Run
  readonly #waiting: Array<Effect.Effect<void>> = []
  #isRunning = false

  constructor(run: Run) {
    this.#run = run
  }

  add(effect: Effect.Effect<void>): void {
    this.#waiting.push(effect)
    if (!this.#isRunning) this.#next()
  }

  #next(): void {
    const effect = this.#waiting.shift()
    this.#isRunning = effect !== undefined
    if (effect !== undefined) this.#run(effect).addObserver(() => this.#next())
  }
}
