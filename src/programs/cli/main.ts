/**
 * Runs the main fiber of a program. Signals interrupt it, so that it releases its resources, and the exit code tells
 * how it ended.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import { type EndingSignal, endingSignals, exitCodeOf } from "./exit.ts"

/** Declares how the program is expected to end. */
export class Termination extends Context.Service<Termination, {
  /** Marks the program as running until it is terminated: termination counts as success from now on. */
  readonly untilTerminated: Effect.Effect<void>
}>()("ringfence/programs/Termination") {}

/** Runs the program and ends the process with its exit code. The program reports its failures itself. */
export const runMain = <A, E>(program: Effect.Effect<A, E, Termination>): void => {
  let untilTerminated = false
  let received: EndingSignal | undefined
  const termination = Termination.of({
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
  runUntilSignal(Effect.provideService(program, Termination, termination), { disableErrorReporting: true })
}
