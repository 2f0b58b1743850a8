/**
 * One process of the torture: it gets its job as its argument, and talks with the program that started it. When the log is
 * lost it attaches again, to the one that is restored under the region's name.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import type { End, Reached } from "./jobs.ts"
import { journalTo, type Write } from "./journal.ts"

export interface Conductor {
  readonly write: Write
  /** Adds to the records that it saw acknowledged or has read. */
  readonly reached: (more: number, position: number) => void
  /** Where it is to end, once it is told to. */
  readonly end: () => number | undefined
  /** The region that it is attached to, and how often it was attached before. */
  readonly regionId: string
  readonly joins: number
}

interface Job {
  readonly region: string
  readonly name: string
  readonly journal: string
  readonly topic: string
  readonly history: ReadonlyArray<string>
}

/** Many times what a takeover takes. A log that is not served for longer is lost. */
const serverDeadline = "4 seconds"

/** Runs the work of a process as a client of the region. */
export const runPart = <J extends Job, E extends { readonly _tag: string }>(
  schema: Schema.Codec<J, any>,
  work: (job: J, conductor: Conductor) => Effect.Effect<void, E, Log.Client | Scope.Scope>
): void => {
  const job = Schema.decodeUnknownSync(Schema.fromJsonString(schema))(process.argv[2])
  const { history, journal, name, region, topic } = job
  let end: number | undefined
  process.on("message", (message: End) => {
    end = message.at
  })
  // A process whose conductor was killed must not go on alone.
  process.on("disconnect", () => process.exit(1))
  const client = Log.layerClient({ serverDeadline, history }).pipe(
    Layer.provideMerge(CxlMemory.layerAttach({ region, processName: name }))
  )
  const write = journalTo(journal)
  let [total, joins] = [0, 0]
  const attached = CxlMemory.CxlMemory.use(({ info: { regionId } }) => {
    write({ _tag: "Joined", region: regionId, topic })
    joins += 1
    return work(job, {
      write,
      reached: (more, position) => {
        total += more
        process.send?.({ reached: total, position } satisfies Reached)
      },
      end: () => end,
      regionId,
      joins: joins - 1
    })
  })
  const tell = (cause: Cause.Cause<unknown>) =>
    Effect.sync(() => process.stderr.write(`${name}: ${Cause.pretty(cause)}\n`))
  attached.pipe(
    Effect.scoped,
    Effect.provide(client),
    Effect.tapCause(tell),
    Effect.retry({ while: ({ _tag }) => joins > 0 && losses.has(_tag), schedule: Schedule.spaced(50) }),
    Effect.ensuring(Effect.sync(() => process.channel?.unref())),
    Effect.provideService(Logger.LogToStderr, true),
    NodeRuntime.runMain({ disableErrorReporting: true })
  )
}

// --- internal ---

/** The log is gone, or another one is not served yet. */
const losses = new Set(["RegionLost", "RegionError"])
