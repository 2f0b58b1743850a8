/**
 * The jobs that `ringfence bench` gives its children, and their answers.
 */
import * as Schema from "effect/Schema"
import { make } from "../../services/schema/Topic.ts"
import { PublishedCounts, SeenCounts } from "../log-trial/counts.ts"
import { LatencyHistogram } from "../measure/latency.ts"
import { clientFields } from "../processes/log-client.ts"
import { type ChildProgram, programBeside } from "../processes/protocol.ts"
import { SwarmChildFields } from "../processes/swarm-member.ts"

// --- the log ---

const Order = Schema.Literals(["session", "none"])

export const benchTopic = (order: typeof Order.Type) => make("bench", { order })

export const PublisherJob = Schema.Struct({
  ...clientFields,
  order: Order,
  recordBytes: Schema.Int,
  /** Published before the clock starts, until compilers and caches have settled. */
  warmupRecords: Schema.Int,
  /** Published as fast as there is room. */
  records: Schema.Int,
  /** Published after that at `paceFraction` of the rate reached, to time acknowledgements. */
  pacedRecords: Schema.Int,
  paceFraction: Schema.Finite
})
export type PublisherJob = typeof PublisherJob.Type

export const LogPublisher: ChildProgram<PublisherJob, PublishedCounts> = {
  entry: programBeside(import.meta.url, "log-publisher"),
  job: PublisherJob,
  result: PublishedCounts
}

export const SubscriberJob = Schema.Struct({ ...clientFields, order: Order, records: Schema.Int })
export type SubscriberJob = typeof SubscriberJob.Type

export const LogSubscriber: ChildProgram<SubscriberJob, SeenCounts> = {
  entry: programBeside(import.meta.url, "log-subscriber"),
  job: SubscriberJob,
  result: SeenCounts
}

// --- rings ---

/** How a side waits: by a strategy of the ring, or by polling it in a loop. */
export const TripStrategy = Schema.Literals(["spin", "adaptive", "park", "poll"])
export type TripStrategy = typeof TripStrategy.Type

export const TripsJob = Schema.Struct({
  ...clientFields,
  /** One side sends and takes the time, the other sends back. */
  asks: Schema.Boolean,
  strategy: TripStrategy,
  warmup: Schema.Int,
  trips: Schema.Int
})
export type TripsJob = typeof TripsJob.Type

export const RingTrips: ChildProgram<TripsJob, LatencyHistogram> = {
  entry: programBeside(import.meta.url, "ping-pong"),
  job: TripsJob,
  result: LatencyHistogram
}

// --- calls ---

export const CallJob = Schema.Struct({ ...SwarmChildFields, warmup: Schema.Int, calls: Schema.Int })
export type CallJob = typeof CallJob.Type

export const CallServer: ChildProgram<CallJob, null> = {
  entry: programBeside(import.meta.url, "call-server"),
  job: CallJob,
  result: Schema.Null
}

export const CallClient: ChildProgram<CallJob, LatencyHistogram> = {
  entry: programBeside(import.meta.url, "call-client"),
  job: CallJob,
  result: LatencyHistogram
}

// --- barriers ---

export const BarrierJob = Schema.Struct({ ...SwarmChildFields, warmup: Schema.Int, rounds: Schema.Int })
export type BarrierJob = typeof BarrierJob.Type

export const BarrierMember: ChildProgram<BarrierJob, LatencyHistogram> = {
  entry: programBeside(import.meta.url, "barrier-member"),
  job: BarrierJob,
  result: LatencyHistogram
}
