/**
 * Reads the durations of options, and refuses an impossible duration under the name of its option.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** An option is negative or not a duration. Types exclude most of these; configuration and JSON do not. */
export class DurationInvalid extends Schema.TaggedError<DurationInvalid>()("DurationInvalid", {
  option: Schema.String,
  given: Schema.String
}) {
  override get message(): string {
    return `${this.option}: ${this.given} is not a time to wait: give "10 seconds", "500 millis", or milliseconds as a `
      + `number that is not negative`
  }
}

/** The option's duration in milliseconds. Throws {@link DurationInvalid}. */
export const millisOf = (option: string, input: Duration.Input): number => {
  const millis = Option.match(Duration.fromInput(input), { onNone: () => NaN, onSome: Duration.toMillis })
  if (millis >= 0 && !Number.isNaN(input)) return millis
  throw new DurationInvalid({ option, given: typeof input === "string" ? JSON.stringify(input) : String(input) })
}

/** {@link millisOf} as an effect, for the options of a single call. */
export const waitMillis = (option: string, input: Duration.Input): Effect.Effect<number, DurationInvalid> =>
  Effect.try({ try: () => millisOf(option, input), catch: (error) => error as DurationInvalid })
