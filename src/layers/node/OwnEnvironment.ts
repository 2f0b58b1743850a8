/**
 * Reads the variables that this process's owner set in its environment.
 */
import * as Effect from "effect/Effect"
import { type ChildEnvironment, ofOneProcess, readEnvironment } from "../swarm/children/ChildEnvironment.ts"

/** Removes this process's own variables from the environment, so that its children do not inherit them. */
export const takeOwnEnvironment: Effect.Effect<ChildEnvironment> = Effect.sync(() => {
  taken ??= readEnvironment(process.env)
  for (const name of ofOneProcess) delete process.env[name]
  return taken
})

// --- internal ---

let taken: ChildEnvironment | undefined
