/**
 * Runs the main fiber of a program: signals interrupt it, so that it releases all that it holds, and the exit code
 * tells how it ended.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import { type EndingSignal, endingSignals, exitCodeOf } from "./exit.ts"

/** How the program ends. */
export class Ending extends Context.Service<Ending, {
  /** Marks the program as running until it is terminated: termination is its success from now on, not a failure. */
  readonly untilTerminated: Effect.Effect<void>
}>()("ringfence/programs/Ending") {}

/** Runs the program and ends the process with its exit code. The program reports its failures itself. */
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
