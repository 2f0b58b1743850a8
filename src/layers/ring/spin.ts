/**
 * Waits by polling, for changes that arrive sooner than a sleeping thread would wake.
 */
import * as Effect from "effect/Effect"

/** How long a spinning reader blocks the event loop, and how long an adaptive reader spins before it sleeps. */
export const spinMicros = 20

/** Polls between two readings of the clock, which costs as much as a poll. */
const looksPerClock = 8

/** Polls for up to `micros`. */
export const spin = <A>(check: () => A | undefined, micros: number): A | undefined => {
  const first = check()
  if (first !== undefined || micros === 0) return first
  const until = performance.now() + micros / 1000
  do {
    for (let i = 0; i < looksPerClock; i++) {
      const found = check()
      if (found !== undefined) return found
    }
  } while (performance.now() < until)
  return undefined
}

/** Polls without end. After each `spinMicros` it runs the thorough check and yields to the event loop. */
export const spinning = <A>(check: () => A | undefined, thorough: () => A | undefined): Effect.Effect<A> =>
  Effect.gen(function*() {
    while (true) {
      const found = spin(check, spinMicros) ?? thorough()
      if (found !== undefined) return found
      yield* Effect.yieldNow
    }
  })
