/**
 * Measures times by the backend's own clock.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { fork, joined, type SwarmBackend } from "../../backends/swarm.ts"

/** The fiber's exit, and the time from this call until then, which is shorter than the fiber's own. */
export const timed = Effect.fnUntraced(function*<A, E>(backend: SwarmBackend, fiber: Fiber.Fiber<A, E>) {
  const from = yield* Clock.currentTimeMillis
  const value = yield* joined(backend, fiber)
  return { value, millis: (yield* Clock.currentTimeMillis) - from }
})

/** What the effect returns, and the time from its beginning until then, for a test that it takes long enough. */
export const timedWhole = Effect.fnUntraced(function*<A, E>(backend: SwarmBackend, effect: Effect.Effect<A, E>) {
  const from = yield* Clock.currentTimeMillis
  const value = yield* joined(backend, yield* fork(effect))
  return { value, millis: (yield* Clock.currentTimeMillis) - from }
})

/** A bound with a margin for a busy machine if the clock is real. */
export const soon = (backend: SwarmBackend, millis: number): number => backend.usesTestClock ? millis : millis + 3000
