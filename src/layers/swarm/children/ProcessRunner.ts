/**
 * Starts processes: what each operating system must provide.
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
  /** It ends when this process is gone. */
  readonly lifeline: boolean
}

export interface ChildEnd {
  readonly code: number | null
  readonly signal: string | null
}

/** A started process. It may have ended already. */
export interface ChildProcess {
  readonly pid: number
  /** How it ended, even if asked later. */
  readonly ended: Effect.Effect<ChildEnd>
  readonly signal: (signal: "SIGTERM" | "SIGKILL") => Effect.Effect<void>
  /** Releases it: it goes on when this process ends, which does not wait for it. */
  readonly release: Effect.Effect<void>
}

export class ProcessRunner extends Context.Service<ProcessRunner, {
  /** This process's own environment, which its children begin with. */
  readonly environment: () => Readonly<Record<string, string>>
  /** The command that runs a script as this process runs its own. */
  readonly node: (entry: string | URL) => { readonly command: string; readonly args: ReadonlyArray<string> }
  readonly start: (command: ChildCommand) => Effect.Effect<ChildProcess, SpawnFailed>
}>()("ringfence/layers/ProcessRunner") {}
