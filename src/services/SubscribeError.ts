/**
 * How reading the log can fail.
 */
import * as Schema from "effect/Schema"
import type { RegionLost } from "./CxlMemory.ts"

/** The position asked for is no longer kept. `start` is the oldest that is. */
export class PositionTrimmed extends Schema.TaggedError<PositionTrimmed>()("PositionTrimmed", {
  topic: Schema.String,
  requested: Schema.Number,
  start: Schema.Number
}) {
  override get message(): string {
    return `topic "${this.topic}": position ${this.requested} is trimmed away (the oldest kept is ${this.start}; `
      + `attach before it is published, or read from "start")`
  }
}

/** A record could not be decoded with the topic's schema. The others are not affected. */
export class RecordInvalid extends Schema.TaggedError<RecordInvalid>()("RecordInvalid", {
  topic: Schema.String,
  position: Schema.Number,
  issue: Schema.String
}) {
  override get message(): string {
    return `topic "${this.topic}": the record at ${this.position} does not match the schema: ${this.issue}`
  }
}

/** What the index or a lane holds contradicts the layout: the memory was damaged from outside. */
export class LogCorrupt extends Schema.TaggedError<LogCorrupt>()("LogCorrupt", {
  topic: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `topic "${this.topic}": ${this.detail}`
  }
}

export type SubscribeError = RegionLost | LogCorrupt
