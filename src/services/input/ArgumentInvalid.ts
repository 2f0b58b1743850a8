/**
 * Arguments of single calls, looked at before anything is done with them: one that cannot be is an answer to the caller.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { formatCount } from "../text/quantities.ts"

/** A call was given what it cannot be asked for. Nothing was done. Types refuse some of these; numbers do not. */
export class ArgumentInvalid extends Schema.TaggedError<ArgumentInvalid>()("ArgumentInvalid", {
  call: Schema.String,
  argument: Schema.String,
  given: Schema.String,
  /** What it can be. */
  range: Schema.String
}) {
  override get message(): string {
    return `${this.call}: ${this.argument} cannot be ${this.given} (it must be ${this.range})`
  }
}

/** Why that is no number of things from 0 to `most`, `undefined` where it is one. */
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

/** Fails where that is no number of things from 0 to `most`. */
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
