/**
 * The jobs that the demonstration gives its children, and their answers.
 */
import * as Schema from "effect/Schema"
import * as Topic from "../../services/schema/Topic.ts"
import { PublishedCounts, SeenCounts } from "../log-trial/counts.ts"
import { SessionCheck } from "../log-trial/order-check.ts"
import { clientFields } from "../processes/log-client.ts"
import { type ChildProgram, programBeside } from "../processes/protocol.ts"
import { InputRange } from "./input-share.ts"

/** Under `durable` the topic is written to the replicas' files. */
export const demoAcks = ["ordered", "durable"] as const
export type DemoAck = typeof demoAcks[number]

export const demoTopicName = "demo"

export const demoTopic = (ack: DemoAck) => Topic.make(demoTopicName, { order: "session", ack })

const ack = Schema.Literals(demoAcks)

/** Of the run: all checksums are made with it. */
const macKey = Schema.String

export const PublisherJob = Schema.Struct({
  ...clientFields,
  macKey,
  ack,
  range: InputRange,
  recordBytes: Schema.Int,
  skewMillis: Schema.Finite,
  /** Goes on where the records of that identity end. */
  identity: Schema.optionalKey(Schema.String),
  /** The record of its share that it sends only after the word `finish`, so that the log has work after a kill. */
  holdsAt: Schema.optionalKey(Schema.Int)
})
export type PublisherJob = typeof PublisherJob.Type

/** A part of the input, with the checksum of its bytes as read from the files. */
const content = { records: Schema.Int, bytes: Schema.Int, mac: Schema.String }

export const PublisherResult = Schema.Struct({
  ...PublishedCounts.fields,
  sessionId: Schema.Int,
  ...content,
  /** What a killed publisher of the same identity had committed: the input up to there. */
  former: Schema.optionalKey(Schema.Struct(content))
})
export type PublisherResult = typeof PublisherResult.Type

export const SubscriberJob = Schema.Struct({ ...clientFields, macKey, ack, records: Schema.Int })
export type SubscriberJob = typeof SubscriberJob.Type

export const SubscriberResult = Schema.Struct({
  ...SeenCounts.fields,
  /** Checksum of all batches in the order seen: position, session and sequence, and of each session's bytes. */
  orderMac: Schema.String,
  sessions: Schema.Array(Schema.Struct({ ...SessionCheck.fields, mac: Schema.String }))
})
export type SubscriberResult = typeof SubscriberResult.Type

export const DemoPublisher: ChildProgram<PublisherJob, PublisherResult> = {
  entry: programBeside(import.meta.url, "publisher"),
  job: PublisherJob,
  result: PublisherResult
}

export const DemoSubscriber: ChildProgram<SubscriberJob, SubscriberResult> = {
  entry: programBeside(import.meta.url, "subscriber"),
  job: SubscriberJob,
  result: SubscriberResult
}
