/**
 * Values that their schema cannot encode: an answer to the sender, never a defect of it.
 */
import * as Cause from "effect/Cause"
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"

/** The value does not match the schema it is sent with. Nothing of it was sent, and the sender goes on. */
export class ValueInvalid extends Schema.TaggedError<ValueInvalid>()("ValueInvalid", {
  /** What it was sent as: a record of a topic, or a message of a kind. */
  of: Schema.Literals(["topic", "message"]),
  name: Schema.String,
  issue: Schema.String
}) {
  override get message(): string {
    return `a value for ${this.of} "${this.name}" does not match its schema and was not sent: ${this.issue}`
  }
}

/** How values of that schema become bytes, by Effect's binary encoding, or why one cannot. Throws nothing. */
export const encoderOf = <A, I>(
  of: ValueInvalid["of"],
  name: string,
  schema: Schema.Codec<A, I, never, never>
): (value: A) => Uint8Array | ValueInvalid => {
  const encode = Schema.encodeExit(SchemaBinary.toCodec(schema))
  return (value) => {
    const exit = encode(value)
    return Exit.isSuccess(exit) ? exit.value as Uint8Array : new ValueInvalid({ of, name, issue: issueOf(exit.cause) })
  }
}

/** The issue of a value: its schema's, or the error that the schema's own code has thrown. */
export const issueOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}
