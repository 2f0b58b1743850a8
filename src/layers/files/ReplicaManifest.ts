/**
 * `manifest.json`: what a replica's directory holds, and whether a log may be restored from it.
 */
import * as Schema from "effect/Schema"

export const manifestFormat = 1

export const Manifest = Schema.Struct({
  format: Schema.Literal(manifestFormat),
  /** The log whose batches these are, for its whole life: over takeovers and restores. */
  logId: Schema.String,
  /** This directory, among the replicas of the log. */
  replicaId: Schema.String,
  /**
   * Counts the restores of the log; where the topics stood at the last one; and the region, which no other region ever is,
   * whose log it is since: until the first restore that has the log's id.
   */
  term: Schema.Struct({
    number: Schema.Number,
    from: Schema.Record(Schema.String, Schema.Number),
    region: Schema.String
  }),
  /** Whether the files held all that was durable here when this was written. Only such files restore a log. */
  inSync: Schema.Boolean,
  topics: Schema.Record(Schema.String, Schema.Struct({ order: Schema.String, ack: Schema.String }))
})
export type Manifest = typeof Manifest.Type
