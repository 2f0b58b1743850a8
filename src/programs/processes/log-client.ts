/**
 * Attaches a child to the log that its parent serves.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as CxlMemory from "../../layers/CxlMemory.ts"
import * as Log from "../../layers/Log.ts"
import { formatCount } from "../cli/units.ts"

/** The fields of such a child's job. */
export const clientFields = { region: Schema.String, name: Schema.String }

/** The log was shut down while this child still had work to do. */
export class LogEnded extends Schema.TaggedError<LogEnded>()("LogEnded", { records: Schema.Int, wanted: Schema.Int }) {
  override get message(): string {
    return `the log ended after ${formatCount(this.records)} of ${formatCount(this.wanted)} records`
  }
}

/** Runs the child's work as a client of the region. */
export const attached = (job: { readonly region: string; readonly name: string }) =>
  Effect.provide(
    Log.layerClient().pipe(
      Layer.provideMerge(CxlMemory.layerAttach({ region: job.region, processName: job.name }))
    )
  )
