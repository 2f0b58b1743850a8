/**
 * The counts that every child of a log trial reports at its end.
 */
import * as Schema from "effect/Schema"
import { LatencyHistogram } from "../measure/latency.ts"
import { SessionCheck } from "./order-check.ts"

export const PublishedCounts = Schema.Struct({
  acknowledged: Schema.Int,
  firstOfferMillis: Schema.Finite,
  lastAckMillis: Schema.Finite,
  latency: LatencyHistogram,
  fullEvents: Schema.Int
})
export type PublishedCounts = typeof PublishedCounts.Type

export const SeenCounts = Schema.Struct({
  records: Schema.Int,
  bytes: Schema.Int,
  batches: Schema.Int,
  sparse: Schema.Int,
  lastMillis: Schema.Finite,
  sessions: Schema.Array(SessionCheck)
})
export type SeenCounts = typeof SeenCounts.Type
