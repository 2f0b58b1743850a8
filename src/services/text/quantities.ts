/**
 * Numbers in texts: sizes, times and counts have one format in errors, log lines and program output. A number that
 * identifies one thing (a pid, a position, a batch number) is not a quantity and is shown as it is.
 */

export const formatBytes = (bytes: number): string => {
  if (bytes < 1024) return plural(bytes, "byte")
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${Number.isInteger(value) ? value : value.toFixed(power > 2 ? 2 : 1)} ${units[power - 1]}`
}

export const formatMicros = (micros: number): string => {
  if (micros < 1000) return `${micros.toFixed(micros < 10 ? 1 : 0)} µs`
  if (micros < 1_000_000) return `${(micros / 1000).toFixed(micros < 10_000 ? 2 : 1)} ms`
  return `${(micros / 1_000_000).toFixed(2)} s`
}

export const formatMillis = (millis: number): string => formatMicros(1000 * millis)

export const formatSeconds = (seconds: number): string => formatMicros(1_000_000 * seconds)

export const formatCount = (count: number): string => count.toLocaleString("en-US")

/** The noun in singular or plural; by default the plural has an `s`. */
export const plural = (count: number, noun: string, several = `${noun}s`): string =>
  `${formatCount(count)} ${count === 1 ? noun : several}`

// --- internal ---

const units = ["KiB", "MiB", "GiB", "TiB"] as const
