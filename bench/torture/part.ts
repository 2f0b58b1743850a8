/**
 * One process of the torture: it gets its job as its argument, and talks with the program that started it.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import type { End, Reached } from "./jobs.ts"
import { journalTo, type Write } from "./journal.ts"

export interface Conductor {
  readonly write: Write
  readonly reached: (reached: number) => void
  /** Where it is to end, once it is told to. */
  readonly end: () => number | undefined
}

/** Far more than a takeover takes: no fault of the torture leaves the log without a server for longer. */
const serverDeadline = "60 seconds"

/** Runs the work of a process as a client of the region. */
export const runPart = <Job extends { readonly region: string; readonly name: string; readonly journal: string }, E>(
  schema: Schema.Codec<Job, any>,
  work: (job: Job, conductor: Conductor) => Effect.Effect<void, E, Log.Client | Scope.Scope>
): void => {
  const job = Schema.decodeUnknownSync(Schema.fromJsonString(schema))(process.argv[2])
  let end: number | undefined
  process.on("message", (message: End) => {
    end = message.at
  })
  // A process whose conductor was killed must not go on alone.
  process.on("disconnect", () => process.exit(1))
  const client = Log.layerClient({ serverDeadline }).pipe(
    Layer.provideMerge(CxlMemory.layerAttach({ region: job.region, processName: job.name }))
  )
  work(job, {
    write: journalTo(job.journal),
    reached: (reached) => process.send?.({ reached } satisfies Reached),
    end: () => end
  }).pipe(
    Effect.scoped,
    Effect.provide(client),
    Effect.tapCause((cause) => Effect.sync(() => process.stderr.write(`${job.name}: ${Cause.pretty(cause)}\n`))),
    Effect.ensuring(Effect.sync(() => process.channel?.unref())),
    Effect.provideService(Logger.LogToStderr, true),
    NodeRuntime.runMain({ disableErrorReporting: true })
  )
}
