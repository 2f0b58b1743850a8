/**
 * The jobs of the torture's processes, and what they tell the program that tortures them.
 */
import * as Schema from "effect/Schema"
import * as Topic from "../../src/services/schema/Topic.ts"

export const TortureTopic = Topic.make("torture", { order: "session", ack: "ordered" })

const job = { region: Schema.String, name: Schema.String, journal: Schema.String, seed: Schema.Int }

export const PublisherJob = Schema.Struct({
  ...job,
  publisher: Schema.Int,
  life: Schema.Int,
  identity: Schema.optionalKey(Schema.String),
  /** Publishes batches late, by up to this: so they overtake each other. */
  skewMillis: Schema.Int
})
export type PublisherJob = typeof PublisherJob.Type

export const SubscriberJob = Schema.Struct({ ...job, position: Schema.Int })
export type SubscriberJob = typeof SubscriberJob.Type

/** How far the process is: records acknowledged, or the position that a subscriber has read to. */
export interface Reached {
  readonly reached: number
}

/** A publisher ends behind what it has sent; a subscriber once it has read to `at`. */
export interface End {
  readonly at: number
}
