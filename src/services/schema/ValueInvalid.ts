/**
 * Values that their schema cannot encode: a typed error for the sender, never a defect.
 */
import * as Cause from "effect/Cause"
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"

/** The value does not match its schema. None of it was sent, and the sender stays usable. */
export class ValueInvalid extends Schema.TaggedError<ValueInvalid>()("ValueInvalid", {
  /** Whether it was sent as a record of a topic or as a message. */
  of: Schema.Literals(["topic", "message"]),
  /** The topic's or the message's name. */
  subject: Schema.String,
  issue: Schema.String
}) {
  override get message(): string {
    return `a value for ${this.of} "${this.subject}" does not match its schema and was not sent: ${this.issue}`
  }
}

/** Encodes values of the schema with Effect's binary encoding. Returns the error, never throws it. */
export const encoderOf = <A, I>(
  of: ValueInvalid["of"],
  subject: string,
  schema: Schema.Codec<A, I, never, never>
): (value: A) => Uint8Array | ValueInvalid => {
  const encode = Schema.encodeExit(SchemaBinary.toCodec(schema))
  return (value) => {
    const exit = encode(value)
    return Exit.isSuccess(exit)
      ? exit.value as Uint8Array
      : new ValueInvalid({ of, subject, issue: issueOf(exit.cause) })
  }
}

/** The schema's issue with a value, or the error that the schema's own code threw. */
export const issueOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}
