/**
 * How publishing can fail.
 */
import * as Schema from "effect/Schema"
import type { RegionLost } from "./CxlMemory.ts"
import type { ValueInvalid } from "./schema/ValueInvalid.ts"

export { ValueInvalid } from "./schema/ValueInvalid.ts"

/** The record does not fit into a batch. Nothing of it was published. */
export class RecordTooLarge extends Schema.TaggedError<RecordTooLarge>()("RecordTooLarge", {
  topic: Schema.String,
  recordBytes: Schema.Number,
  limitBytes: Schema.Number
}) {
  override get message(): string {
    return `a record of ${this.recordBytes} bytes does not fit topic "${this.topic}" (at most ${this.limitBytes}; `
      + `split it, or create the region with larger batches)`
  }
}

/** No room was found within the deadline; `waitingOn` says who holds it. What was accepted before stays accepted. */
export class Backpressure extends Schema.TaggedError<Backpressure>()("Backpressure", {
  topic: Schema.String,
  waitedMillis: Schema.Number,
  waitingOn: Schema.String,
  waitingOnOwnSubscriber: Schema.Boolean
}) {
  override get message(): string {
    return `topic "${this.topic}": no room for ${this.waitedMillis} ms, waiting on ${this.waitingOn}`
  }
}

/** Acknowledgements did not arrive within the deadline. They may still: nothing was given up. */
export class AckTimeout extends Schema.TaggedError<AckTimeout>()("AckTimeout", {
  topic: Schema.String,
  waitedMillis: Schema.Number,
  acknowledged: Schema.Number,
  published: Schema.Number,
  waiting: Schema.String
}) {
  override get message(): string {
    return `topic "${this.topic}": ${this.acknowledged} of ${this.published} acknowledged after ${this.waitedMillis} ms; ${this.waiting}`
  }
}

/** The publisher was closed, or its session ended. `acknowledged` messages of it are committed, the rest is not. */
export class PublisherClosed extends Schema.TaggedError<PublisherClosed>()("PublisherClosed", {
  topic: Schema.String,
  reason: Schema.Literals(["closed", "died", "corrupt"]),
  acknowledged: Schema.Number
}) {
  override get message(): string {
    const why = this.reason === "closed"
      ? "the publisher is closed"
      : this.reason === "died"
      ? "its session was ended because its process was seen dead"
      : "its session was ended because its lane held an invalid descriptor"
    return `topic "${this.topic}": ${why}; ${this.acknowledged} messages are committed`
  }
}

export type PublishError = ValueInvalid | RecordTooLarge | Backpressure | PublisherClosed | RegionLost
