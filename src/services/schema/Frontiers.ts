/**
 * How far a lane's batches have come.
 */
import * as Schema from "effect/Schema"

/**
 * How many batches of a lane's present session have passed each stage: the client's (`written`, `published`), the
 * sequencer's (`scanned` to `acknowledged`) and the readers' (`delivered`). `purged` batches never get a place in the
 * order.
 */
export const Frontiers = Schema.Struct({
  written: Schema.Number,
  published: Schema.Number,
  scanned: Schema.Number,
  held: Schema.Number,
  ordered: Schema.Number,
  acknowledged: Schema.Number,
  delivered: Schema.Number,
  orderedMessages: Schema.Number,
  acknowledgedMessages: Schema.Number,
  deliveredMessages: Schema.Number,
  duplicates: Schema.Number,
  purged: Schema.Number
})
export type Frontiers = typeof Frontiers.Type

export const noFrontiers: Frontiers = {
  written: 0,
  published: 0,
  scanned: 0,
  held: 0,
  ordered: 0,
  acknowledged: 0,
  delivered: 0,
  orderedMessages: 0,
  acknowledgedMessages: 0,
  deliveredMessages: 0,
  duplicates: 0,
  purged: 0
}

/** Field by field, for totals over lanes. */
export const sumFrontiers = (a: Frontiers, b: Frontiers): Frontiers => ({
  written: a.written + b.written,
  published: a.published + b.published,
  scanned: a.scanned + b.scanned,
  held: a.held + b.held,
  ordered: a.ordered + b.ordered,
  acknowledged: a.acknowledged + b.acknowledged,
  delivered: a.delivered + b.delivered,
  orderedMessages: a.orderedMessages + b.orderedMessages,
  acknowledgedMessages: a.acknowledgedMessages + b.acknowledgedMessages,
  deliveredMessages: a.deliveredMessages + b.deliveredMessages,
  duplicates: a.duplicates + b.duplicates,
  purged: a.purged + b.purged
})
