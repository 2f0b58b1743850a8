/**
 * Parses sizes, times and counts of a command line, and formats them for reports.
 */
import * as ByteSize from "effect/ByteSize"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import { formatCount } from "../../services/text/quantities.ts"

export {
  formatBytes,
  formatCount,
  formatMicros,
  formatMillis,
  formatSeconds,
  plural
} from "../../services/text/quantities.ts"

/** `256MiB`, `1GB` or plain bytes. */
export const bytesFlag = (name: string): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("size"),
    Flag.filterMap(parseBytes, (text) => `"${text}" is not a size below 8 PiB: write 256MiB, 1GB or a number of bytes`)
  )

/** `5ms`, `1s`, `250us`; as milliseconds. */
export const millisFlag = (name: string): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("time"),
    Flag.filterMap(parseMillis, (text) =>
      text.startsWith("-")
        ? `"${text}" is below zero`
        : `"${text}" is not a time of at most ${writtenMillis(millisMax)}, a week: write 5ms, 1s or 250us`)
  )

/** `90s`, `12h`, `30d`; as milliseconds. For what no timer waits for. */
export const ageFlag = (name: string): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("time"),
    Flag.filterMap(parseAge, (text) => `"${text}" is not an age: write 90s, 12h or 30d`)
  )

/** A whole number within bounds. */
export const countFlag = (name: string, most: number, least = 1): Flag.Flag<number> =>
  Flag.Int(name).pipe(
    Flag.filter(
      (count) => count >= least && count <= most,
      (count) => `${formatCount(count)} is not between ${formatCount(least)} and ${formatCount(most)}`
    )
  )

/** A rate in decimal units. */
export const formatRate = (gigabytesPerSecond: number): string =>
  gigabytesPerSecond < 0.1
    ? `${(gigabytesPerSecond * 1000).toFixed(1)} MB/s`
    : `${gigabytesPerSecond.toFixed(2)} GB/s`

/** The time in the form of a command line. */
export const writtenMillis = (millis: number): string => millis >= 1000 ? `${millis / 1000}s` : `${millis}ms`

// --- internal ---

// Refuses numbers too large to be exact.
const parseBytes = (text: string): Option.Option<number> =>
  Option.filter(
    /^\d+$/.test(text) ? Option.some(Number(text)) : Option.flatMap(ByteSize.fromString(text), ByteSize.toNumber),
    Number.isSafeInteger
  )

const parseAge = (text: string): Option.Option<number> => {
  const [, amount, unit] = /^(\d{1,6}(?:\.\d+)?)(s|m|h|d)$/.exec(text) ?? []
  const millis = ageMillis[unit ?? ""]
  return amount === undefined || millis === undefined ? Option.none() : Option.some(Number(amount) * millis)
}

const ageMillis: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A week. Timers overflow after 31 bits of milliseconds, three and a half weeks. */
const millisMax = 7 * 24 * 3600 * 1000

const unitMillis: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000 }

const parseMillis = (text: string): Option.Option<number> => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(us|ms|s)$/.exec(text) ?? []
  if (amount === undefined || unit === undefined) return Option.none()
  const millis = Number(amount) * (unitMillis[unit] ?? 1)
  return millis <= millisMax ? Option.some(millis) : Option.none()
}
