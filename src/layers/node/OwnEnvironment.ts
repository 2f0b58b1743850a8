/**
 * Reads the variables that the process's owner put into its environment.
 */
import * as Effect from "effect/Effect"
import { type ChildEnvironment, ofOneProcess, readEnvironment } from "../swarm/children/ChildEnvironment.ts"

/** Takes it out of the environment, so that children of this process do not inherit it. */
export const takeOwnEnvironment: Effect.Effect<ChildEnvironment> = Effect.sync(() => {
  taken ??= readEnvironment(process.env)
  for (const name of ofOneProcess) delete process.env[name]
  return taken
})

// --- internal ---

let taken: ChildEnvironment | undefined
