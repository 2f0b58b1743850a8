/**
 * Starting processes: the narrow end that whoever runs on an operating system provides.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { SpawnFailed } from "../../../services/Spawner.ts"

export interface ChildCommand {
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>
  readonly output: "inherit" | "ignore"
  /** It is to end when this process is gone. */
  readonly lifeline: boolean
}

export interface ChildEnd {
  readonly code: number | null
  readonly signal: string | null
}

/** A process that was started, from its start on: it may have ended already. */
export interface ChildProcess {
  readonly pid: number
  /** The same for everybody who asks, however late. */
  readonly ended: Effect.Effect<ChildEnd>
  readonly signal: (signal: "SIGTERM" | "SIGKILL") => Effect.Effect<void>
  /** It goes on when this process is gone, and this process may end before it. */
  readonly release: Effect.Effect<void>
}

export class ProcessRunner extends Context.Service<ProcessRunner, {
  /** This process's own environment, which its children begin with. */
  readonly environment: () => Readonly<Record<string, string>>
  /** The command that runs a script as this process runs its own. */
  readonly node: (entry: string | URL) => { readonly command: string; readonly args: ReadonlyArray<string> }
  readonly start: (command: ChildCommand) => Effect.Effect<ChildProcess, SpawnFailed>
}>()("ringfence/layers/ProcessRunner") {}
