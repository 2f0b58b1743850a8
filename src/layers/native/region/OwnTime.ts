/**
 * The time that a process has waited for another one. A process that was stopped itself meanwhile has seen nothing of the
 * other, and must not blame it: of each step between two looks only so much counts as a slow machine takes.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

export interface OwnTime {
  /** A look: returns the milliseconds that count so far. */
  readonly look: Effect.Effect<number>
}

export const ownTime: Effect.Effect<OwnTime> = Effect.map(Clock.currentTimeMillis, (begun) => {
  let counted = 0
  let looked = begun
  return {
    look: Effect.map(Clock.currentTimeMillis, (now) => {
      counted += Math.min(now - looked, stepMillis)
      looked = now
      return counted
    })
  }
})

// --- internal ---

const stepMillis = 250
