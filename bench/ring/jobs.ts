/**
 * The jobs that the ring benchmark gives its children, and their answers.
 */
import * as Schema from "effect/Schema"
import { LatencyHistogram } from "../../src/programs/measure/latency.ts"
import { type ChildProgram, programBeside } from "../../src/programs/processes/protocol.ts"

const fields = { region: Schema.String, name: Schema.String }

/** The ring on which throughput is measured. */
export const streamRing = "stream"

export const WriterJob = Schema.Struct({
  ...fields,
  messageBytes: Schema.Int,
  /** Written before the clock starts, until compilers and caches have settled. */
  warmup: Schema.Int,
  messages: Schema.Int,
  /** 1: each message is published on its own. */
  messagesPerPublish: Schema.Int
})
export type WriterJob = typeof WriterJob.Type

export const Written = Schema.Struct({
  firstMillis: Schema.Finite,
  cores: Schema.Finite,
  /** Sum of all written bytes, warm-up included, as 64-bit words; hexadecimal. */
  sum: Schema.String,
  /** How often the ring had no room. */
  waits: Schema.Int
})

/** How every byte is read: message by message in JavaScript or natively, or natively a span of messages at a time. */
export const ReaderFold = Schema.Literals(["javascript", "native", "span"])

export const ReaderJob = Schema.Struct({ ...fields, warmup: Schema.Int, messages: Schema.Int, fold: ReaderFold })
export type ReaderJob = typeof ReaderJob.Type

export const Read = Schema.Struct({
  lastMillis: Schema.Finite,
  cores: Schema.Finite,
  sum: Schema.String,
  /** Messages that arrived out of order. */
  disordered: Schema.Int
})

export const BareJob = Schema.Struct({
  ...fields,
  asks: Schema.Boolean,
  peer: Schema.String,
  warmup: Schema.Int,
  trips: Schema.Int
})
export type BareJob = typeof BareJob.Type

/** Attachments of one child, each with a sleeping reader of that ring. */
export const SleepersJob = Schema.Struct({ ...fields, ring: Schema.String, sleepers: Schema.Int })
export type SleepersJob = typeof SleepersJob.Type

export const RingSleepers: ChildProgram<SleepersJob, null> = {
  entry: programBeside(import.meta.url, "sleepers"),
  job: SleepersJob,
  result: Schema.Null
}

export const RingWriter: ChildProgram<WriterJob, typeof Written.Type> = {
  entry: programBeside(import.meta.url, "writer"),
  job: WriterJob,
  result: Written
}

export const RingReader: ChildProgram<ReaderJob, typeof Read.Type> = {
  entry: programBeside(import.meta.url, "reader"),
  job: ReaderJob,
  result: Read
}

export const BareTrips: ChildProgram<BareJob, LatencyHistogram> = {
  entry: programBeside(import.meta.url, "../machine/bare-end"),
  job: BareJob,
  result: LatencyHistogram
}
