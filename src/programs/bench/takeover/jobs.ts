/**
 * The jobs that `bench takeover` gives its children, and their answers.
 */
import * as Schema from "effect/Schema"
import * as Topic from "../../../services/schema/Topic.ts"
import { SeenCounts } from "../../log-trial/counts.ts"
import { clientFields } from "../../processes/log-client.ts"
import { type ChildProgram, programBeside } from "../../processes/protocol.ts"

export const TakeoverTopic = Topic.make("takeover", { order: "session", ack: "ordered" })

export const LoadJob = Schema.Struct(clientFields)
export type LoadJob = typeof LoadJob.Type

export const Published = Schema.Struct({ records: Schema.Int, acknowledged: Schema.Int })
export type Published = typeof Published.Type

export const Seen = Schema.Struct({
  ...SeenCounts.fields,
  /** Records with a wrong byte. */
  wrong: Schema.Int
})
export type Seen = typeof Seen.Type

/** Publishes as fast as there is room, until the word `finish`. */
export const LoadPublisher: ChildProgram<LoadJob, Published> = {
  entry: programBeside(import.meta.url, "publisher"),
  job: LoadJob,
  result: Published
}

/** Checks every byte. Ends at the last record that was committed before the word `finish`. */
export const LoadSubscriber: ChildProgram<LoadJob, Seen> = {
  entry: programBeside(import.meta.url, "subscriber"),
  job: LoadJob,
  result: Seen
}

export const FillJob = Schema.Struct({ ...clientFields, batches: Schema.Int })
export type FillJob = typeof FillJob.Type

/** Publishes batches of one record, which stay in the log. */
export const Filler: ChildProgram<FillJob, Published> = {
  entry: programBeside(import.meta.url, "filler"),
  job: FillJob,
  result: Published
}
