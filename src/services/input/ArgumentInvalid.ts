/**
 * Checks the arguments of single calls before they are used: an impossible argument is a typed error for the caller.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { formatCount } from "../text/quantities.ts"

/** An argument is out of range. Nothing was done. Types exclude some of these, but not a number out of range. */
export class ArgumentInvalid extends Schema.TaggedError<ArgumentInvalid>()("ArgumentInvalid", {
  call: Schema.String,
  argument: Schema.String,
  given: Schema.String,
  /** What it must be. */
  range: Schema.String
}) {
  override get message(): string {
    return `${this.call}: ${this.argument} cannot be ${this.given} (it must be ${this.range})`
  }
}

/** The error, if `given` is not a whole number from 0 to `most`. */
export const countRefused = (
  call: string,
  argument: string,
  given: unknown,
  most = Number.MAX_SAFE_INTEGER
): ArgumentInvalid | undefined => {
  if (Number.isSafeInteger(given) && given as number >= 0 && given as number <= most) return undefined
  const range = most === Number.MAX_SAFE_INTEGER
    ? "a whole number that is not negative"
    : `a whole number from 0 to ${formatCount(most)}`
  return new ArgumentInvalid({ call, argument, given: String(given), range })
}

/** Fails if `given` is not a whole number from 0 to `most`. */
export const countWithin = (
  call: string,
  argument: string,
  given: unknown,
  most?: number
): Effect.Effect<void, ArgumentInvalid> =>
  Effect.suspend(() => {
    const refused = countRefused(call, argument, given, most)
    return refused === undefined ? Effect.void : Effect.fail(refused)
  })
