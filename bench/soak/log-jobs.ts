/**
 * What the validation asks of its children, and what they answer.
 */
import * as Schema from "effect/Schema"
import { PublishedCounts, SeenCounts } from "../../src/programs/log-trial/counts.ts"
import { clientFields } from "../../src/programs/processes/log-client.ts"
import { type ChildProgram, programBeside } from "../../src/programs/processes/protocol.ts"
import * as Topic from "../../src/services/schema/Topic.ts"

export const ValidateTopic = Topic.make("validate", { order: "session", ack: "ordered" })

const Job = Schema.Struct({ ...clientFields, records: Schema.Int })
export type ValidateJob = typeof Job.Type

export const Published = Schema.Struct({
  ...PublishedCounts.fields,
  sessionId: Schema.Int,
  records: Schema.Int,
  residentBytes: Schema.Int
})
export type Published = typeof Published.Type

export const Seen = Schema.Struct({
  ...SeenCounts.fields,
  /** Records that are not, to the last byte, what belongs in their place. */
  wrong: Schema.Int,
  residentBytes: Schema.Int
})
export type Seen = typeof Seen.Type

export const ValidatePublisher: ChildProgram<ValidateJob, Published> = {
  entry: programBeside(import.meta.url, "log-publisher"),
  job: Job,
  result: Published
}

export const ValidateSubscriber: ChildProgram<ValidateJob, Seen> = {
  entry: programBeside(import.meta.url, "log-subscriber"),
  job: Job,
  result: Seen
}
