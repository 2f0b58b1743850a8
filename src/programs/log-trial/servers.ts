/**
 * Serves a trial's log by processes of their own: one serves, and another stands by for it.
 */
import * as Effect from "effect/Effect"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Geometry } from "../../services/schema/Geometry.ts"
import { clientFields } from "../processes/log-client.ts"
import { type ChildProgram, programBeside } from "../processes/protocol.ts"
import * as Children from "../processes/spawn.ts"

export const ServerJob = Schema.Struct({
  ...clientFields,
  geometry: Geometry,
  coherence: Schema.Literals(["coherent", "flushed"]),
  topics: Schema.Array(Schema.Struct({
    name: Schema.String,
    order: Schema.Literals(["none", "total", "session"]),
    ack: Schema.Literals(["none", "ordered", "durable"])
  })),
  unsafeIgnoreSessionOrder: Schema.Boolean
})
export type ServerJob = typeof ServerJob.Type

/** What a process reports once it has taken over. */
export const TakeoverResult = Schema.Struct({
  recoveryMillis: Schema.Finite,
  keptBatches: Schema.Int
})
export type TakeoverResult = typeof TakeoverResult.Type

export const TrialServer: ChildProgram<ServerJob, TakeoverResult> = {
  entry: programBeside(import.meta.url, "server"),
  job: ServerJob,
  result: TakeoverResult
}

export interface Servers {
  readonly serving: () => Children.Child<TakeoverResult>
  /** Counts on the standby to serve from now on. The caller kills the process that served. */
  readonly promote: () => Children.Child<TakeoverResult>
  /** Starts another standby, and returns once it stands by. */
  readonly standBy: Effect.Effect<void, Children.ChildError, ChildProcessSpawner>
  /** Ends the standby, and then the log. */
  readonly end: Effect.Effect<void, Children.ChildError>
}

/** Starts a process that serves and one that stands by for it. All end with the scope. */
export const startServers = Effect.fnUntraced(
  function*(job: Omit<ServerJob, "name">): Effect.fn.Return<
    Servers,
    Children.ChildError,
    Scope.Scope | ChildProcessSpawner
  > {
    let count = 0
    const scope = yield* Effect.scope
    const start = Effect.suspend(() => {
      const name = `server-${count}`
      count += 1
      return Scope.provide(Children.started(TrialServer, name, { ...job, name }), scope)
    })
    let serving = yield* start
    let standby: Children.Child<TakeoverResult> | undefined = yield* start
    return {
      serving: () => serving,
      promote: () => {
        if (standby !== undefined) serving = standby
        standby = undefined
        return serving
      },
      standBy: Effect.map(start, (child) => void (standby = child)),
      end: Effect.suspend(() =>
        Effect.andThen(Children.end(standby === undefined ? [] : [standby]), Children.end([serving]))
      )
    }
  }
)
