/**
 * Shows progress on standard error: a bar that redraws itself on a terminal, a plain line now and then elsewhere.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { redrawNotice } from "./streams.ts"

export interface ProgressState {
  /** From 0 to 1. */
  readonly fraction: number
  /** The text after the bar. */
  readonly text: string
}

/**
 * Shows `state` until the scope closes, and then the final state, so that the bar ends full.
 */
export const show = (label: string, state: Effect.Effect<ProgressState>): Effect.Effect<void, never, Scope.Scope> => {
  const isTerminal = process.stderr.isTTY === true
  const draw = isTerminal ? redraw : writePlain
  const once = Effect.map(state, (now) => draw(label, now))
  return Effect.acquireRelease(
    Effect.void,
    () => Effect.andThen(once, Effect.sync(() => isTerminal && process.stderr.write("\n")))
  ).pipe(
    Effect.andThen(
      Effect.forkScoped(
        Effect.forever(Effect.andThen(Effect.sleep(isTerminal ? terminalMillis : plainMillis), once))
      )
    ),
    Effect.asVoid
  )
}

// --- internal ---

const terminalMillis = 100
const plainMillis = 3000
const barLength = 24

const percent = (fraction: number): string => `${Math.floor(100 * Math.min(1, fraction))} %`.padStart(5)

const redraw = (label: string, { fraction, text }: ProgressState): void => {
  const full = Math.round(barLength * Math.max(0, Math.min(1, fraction)))
  const bar = "█".repeat(full) + "░".repeat(barLength - full)
  redrawNotice(`${label} ${bar} ${percent(fraction)}  ${text}`)
}

const writePlain = (label: string, { fraction, text }: ProgressState): void => {
  process.stderr.write(`${label} ${percent(fraction)}  ${text}\n`)
}
