/**
 * The jobs that the log benchmark gives its children, and their answers.
 */
import * as Schema from "effect/Schema"
import { PublishedCounts } from "../../src/programs/log-trial/counts.ts"
import { LatencyHistogram } from "../../src/programs/measure/latency.ts"
import { clientFields } from "../../src/programs/processes/log-client.ts"
import { type ChildProgram, programBeside } from "../../src/programs/processes/protocol.ts"
import type * as Topic from "../../src/services/schema/Topic.ts"
import { make } from "../../src/services/schema/Topic.ts"
import { Fold } from "../harness/checksum.ts"

const Order = Schema.Literals(["session", "total", "none"])
export type BenchOrder = typeof Order.Type

/** When a record counts as acknowledged; without meaning under order `none`. */
const Ack = Schema.Literals(["ordered", "durable"])
export type BenchAck = typeof Ack.Type

interface TopicJob {
  readonly order: BenchOrder
  readonly ack: BenchAck
  /** Of the topic beside the one that is measured. */
  readonly isBeside?: boolean
}

export const benchTopic = ({ ack, isBeside, order }: TopicJob): Topic.Topic => {
  const name = isBeside === true ? "beside" : "bench"
  return order === "none" ? make(`${name}-none`, { order }) : make(`${name}-${order}-${ack}`, { order, ack })
}

export const PublisherJob = Schema.Struct({
  ...clientFields,
  order: Order,
  ack: Ack,
  isBeside: Schema.optionalKey(Schema.Boolean),
  recordBytes: Schema.Int,
  sessions: Schema.Int,
  /** Published before the clock starts, until compilers and caches have settled. */
  warmupRecords: Schema.Int,
  /** The last ones of these, in the open loop: they are offered at its rate. */
  settlingRecords: Schema.optionalKey(Schema.Int),
  records: Schema.Int,
  /** Open loop at this rate; 0 = as fast as the lanes have room. */
  recordsPerSecond: Schema.Finite,
  /** How often records become due then. */
  tickMillis: Schema.optionalKey(Schema.Finite)
})
export type PublisherJob = typeof PublisherJob.Type

export const Published = Schema.Struct({
  ...PublishedCounts.fields,
  /** In the open loop: how late the publisher offered what was due. */
  lateness: Schema.optionalKey(LatencyHistogram),
  /** Cores used from the first offer to the last acknowledgement. */
  cores: Schema.Finite,
  /** Sum of all published bytes, warm-up included, as 64-bit words; hexadecimal. */
  sum: Schema.String,
  /** JavaScript heap allocated per message, measured between collections. */
  heapBytesPerRecord: Schema.Finite
})
export type Published = typeof Published.Type

export const SubscriberJob = Schema.Struct({
  ...clientFields,
  order: Order,
  ack: Ack,
  isBeside: Schema.optionalKey(Schema.Boolean),
  warmupRecords: Schema.Int,
  records: Schema.Int,
  /** That each read all of it. Default: one. */
  readers: Schema.optionalKey(Schema.Int),
  fold: Fold
})
export type SubscriberJob = typeof SubscriberJob.Type

export const Seen = Schema.Struct({
  records: Schema.Int,
  lastMillis: Schema.Finite,
  /** Cores used since the first batch behind the warm-up. */
  cores: Schema.Finite,
  sum: Schema.String,
  /** Batches that arrived out of their session's order. */
  disordered: Schema.Int,
  /** The longest time from the sealing of a batch to its arrival, of each second behind the warm-up. */
  lagMillis: Schema.Array(Schema.Finite)
})
export type Seen = typeof Seen.Type

/** Reads a topic from its first record on, out of the files of a replica. */
export const HistorianJob = Schema.Struct({
  ...clientFields,
  ack: Ack,
  order: Order,
  /** Of the replica. */
  dir: Schema.String,
  /** How many records it reads: fewer than memory no longer has. */
  records: Schema.Int
})
export type HistorianJob = typeof HistorianJob.Type

export const HistoryRead = Schema.Struct({ bytes: Schema.Int, seconds: Schema.Finite })
export type HistoryRead = typeof HistoryRead.Type

export const BenchHistorian: ChildProgram<HistorianJob, HistoryRead> = {
  entry: programBeside(import.meta.url, "historian"),
  job: HistorianJob,
  result: HistoryRead
}

export const BenchPublisher: ChildProgram<PublisherJob, Published> = {
  entry: programBeside(import.meta.url, "publisher"),
  job: PublisherJob,
  result: Published
}

export const BenchSubscriber: ChildProgram<SubscriberJob, Seen> = {
  entry: programBeside(import.meta.url, "subscriber"),
  job: SubscriberJob,
  result: Seen
}
