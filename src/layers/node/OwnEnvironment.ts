/**
 * What whoever started this process has left in its environment.
 */
import * as Effect from "effect/Effect"
import { type ChildEnvironment, ofOneProcess, readEnvironment } from "../swarm/children/ChildEnvironment.ts"

/** Takes it: what is for this process alone does not stay for those that it starts. */
export const takeOwnEnvironment: Effect.Effect<ChildEnvironment> = Effect.sync(() => {
  taken ??= readEnvironment(process.env)
  for (const name of ofOneProcess) delete process.env[name]
  return taken
})

// --- internal ---

let taken: ChildEnvironment | undefined
