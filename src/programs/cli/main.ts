/**
 * The main fiber of a program: signals interrupt it, so that everything it holds is given back, and its end is told by
 * the exit code.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import { type EndingSignal, endingSignals, exitCodeOf } from "./exit.ts"

/** What the end of this program means. */
export class Ending extends Context.Service<Ending, {
  /** From now on this program has no end of its own: being terminated is how it ends, and not a failure. */
  readonly untilTerminated: Effect.Effect<void>
}>()("ringfence/programs/Ending") {}

/** Runs the program to its end, and this process with it. A failure has been reported by then. */
export const runMain = <A, E>(program: Effect.Effect<A, E, Ending>): void => {
  let untilTerminated = false
  let received: EndingSignal | undefined
  const ending = Ending.of({
    untilTerminated: Effect.sync(() => {
      untilTerminated = true
    })
  })
  const runUntilSignal = Runtime.makeRunMain(({ fiber }) => {
    const onSignal = (signal: NodeJS.Signals) => {
      received ??= signal as EndingSignal
      fiber.interruptUnsafe(fiber.id)
    }
    for (const signal of endingSignals) process.on(signal, onSignal)
    fiber.addObserver((exit) => {
      for (const signal of endingSignals) process.removeListener(signal, onSignal)
      const code = exitCodeOf(exit, { signal: received, untilTerminated })
      if (received !== undefined || code !== 0) process.exit(code)
    })
  })
  runUntilSignal(Effect.provideService(program, Ending, ending), { disableErrorReporting: true })
}
