/**
 * Waits by checking again and again, for changes that come sooner than a sleep would end.
 */
import * as Effect from "effect/Effect"

/** How long a spinning reader keeps the event loop to itself, and an adaptive one spins before it sleeps. */
export const spinMicros = 20

/** The clock costs as much as a look. */
const looksPerClock = 8

/** Looks again and again for a short while. */
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

/** Spins without end, lets the event loop have its turn in between, and looks harder then. */
export const spinning = <A>(check: () => A | undefined, thorough: () => A | undefined): Effect.Effect<A> =>
  Effect.gen(function*() {
    while (true) {
      const found = spin(check, spinMicros) ?? thorough()
      if (found !== undefined) return found
      yield* Effect.yieldNow
    }
  })
