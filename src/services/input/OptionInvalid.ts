/**
 * Checks the options of the log before they are used: an impossible option fails with the region error `invalid`, which
 * names it and its range.
 */
import * as Effect from "effect/Effect"
import { RegionError } from "../schema/RegionError.ts"
import { DurationInvalid } from "./DurationInput.ts"

/**
 * Parses the options with `read`, and turns what it throws by {@link millisOf} or {@link refuseUnless} into the error.
 */
export const readOptions = <A>(region: string, read: () => A): Effect.Effect<A, RegionError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(read())
    } catch (error) {
      if (error instanceof OptionRefused) return Effect.fail(invalid(region, error.detail, error.range))
      if (!(error instanceof DurationInvalid)) throw error
      return Effect.fail(invalid(region, `${error.option} cannot be ${error.given}`, durations))
    }
  })

/** Refuses a number out of bounds. */
export const refuseUnless = (holds: boolean, option: string, given: unknown, range: string): void => {
  if (!holds) throw new OptionRefused(`${option} cannot be ${String(given)}`, `it must be ${range}`)
}

/** For a number of bytes, at least `least` of them. */
export const refuseUnlessBytes = (option: string, given: number, least = 0): void =>
  refuseUnless(Number.isSafeInteger(given) && given >= least, option, given, "a number of bytes")

// --- internal ---

const durations = "give \"10 seconds\", \"500 millis\", or milliseconds as a number that is not negative"

class OptionRefused extends Error {
  readonly detail: string
  readonly range: string

  constructor(detail: string, range: string) {
    super(detail)
    this.detail = detail
    this.range = range
  }
}

const invalid = (region: string, detail: string, hint: string): RegionError =>
  new RegionError({ fault: "invalid", region, detail, hint })
