/**
 * What every child of a run says at its end, whatever it carried.
 */
import * as Schema from "effect/Schema"
import { HistogramCounts } from "../measure/histogram.ts"
import { SessionCheck } from "./order-check.ts"

export const PublishedCounts = Schema.Struct({
  acknowledged: Schema.Int,
  firstOfferMillis: Schema.Finite,
  lastAckMillis: Schema.Finite,
  latency: HistogramCounts,
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
