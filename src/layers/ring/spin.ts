/**
 * Waits by checking again and again, for changes that come sooner than a sleep would end.
 */
import * as Effect from "effect/Effect"

/** How long a spinning reader keeps the event loop to itself, and an adaptive one spins before it sleeps. */
export const spinMicros = 20

/** Reading the clock costs as much as a poll. */
const looksPerClock = 8

/** Polls for a short while. */
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

/** Polls without end. After each while it makes the thorough check and gives the event loop a turn. */
export const spinning = <A>(check: () => A | undefined, thorough: () => A | undefined): Effect.Effect<A> =>
  Effect.gen(function*() {
    while (true) {
      const found = spin(check, spinMicros) ?? thorough()
      if (found !== undefined) return found
      yield* Effect.yieldNow
    }
  })
