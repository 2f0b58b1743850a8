/**
 * The jobs that the log soak gives its children, and their answers.
 */
import * as Schema from "effect/Schema"
import { PublishedCounts, SeenCounts } from "../../src/programs/log-trial/counts.ts"
import { clientFields } from "../../src/programs/processes/log-client.ts"
import { type ChildProgram, programBeside } from "../../src/programs/processes/protocol.ts"
import * as Topic from "../../src/services/schema/Topic.ts"

export const SoakTopic = Topic.make("soak", { order: "session", ack: "ordered" })

const Job = Schema.Struct({ ...clientFields, records: Schema.Int })
export type SoakJob = typeof Job.Type

export const Published = Schema.Struct({
  ...PublishedCounts.fields,
  sessionId: Schema.Int,
  records: Schema.Int,
  residentBytes: Schema.Int
})
export type Published = typeof Published.Type

export const Seen = Schema.Struct({
  ...SeenCounts.fields,
  /** Records with a wrong byte. */
  wrong: Schema.Int,
  residentBytes: Schema.Int
})
export type Seen = typeof Seen.Type

export const SoakPublisher: ChildProgram<SoakJob, Published> = {
  entry: programBeside(import.meta.url, "log-publisher"),
  job: Job,
  result: Published
}

export const SoakSubscriber: ChildProgram<SoakJob, Seen> = {
  entry: programBeside(import.meta.url, "log-subscriber"),
  job: Job,
  result: Seen
}
