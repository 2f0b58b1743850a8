/**
 * The port that starts processes, which each platform implements.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { SpawnFailed } from "../../../services/Spawner.ts"

export interface ChildCommand {
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>
  readonly output: "inherit" | "ignore"
  /** Whether it ends when this process is gone. */
  readonly lifeline: boolean
}

export interface ChildEnd {
  readonly code: number | null
  readonly signal: string | null
}

/** A started process. It may have ended already. */
export interface ChildProcess {
  readonly pid: number
  /** How it ended; may be awaited after its end too. */
  readonly ended: Effect.Effect<ChildEnd>
  readonly signal: (signal: "SIGTERM" | "SIGKILL") => Effect.Effect<void>
  /** Releases it: it outlives this process, whose end does not wait for it. */
  readonly release: Effect.Effect<void>
}

export class ProcessRunner extends Context.Service<ProcessRunner, {
  /** This process's own environment, to which those of its children are added. */
  readonly environment: () => Readonly<Record<string, string>>
  /** The command that runs a script in the same way as this process runs its own. */
  readonly node: (entry: string | URL) => { readonly command: string; readonly args: ReadonlyArray<string> }
  readonly start: (command: ChildCommand) => Effect.Effect<ChildProcess, SpawnFailed>
}>()("ringfence/layers/ProcessRunner") {}
