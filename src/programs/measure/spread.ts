/**
 * Medians and ranges over several runs of one measurement.
 */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly runs: number
}

/** `undefined` if there are no values. */
export const spreadOf = (values: ReadonlyArray<number>): Spread | undefined => {
  const sorted = values.toSorted((a, b) => a - b)
  const [min] = sorted
  const max = sorted.at(-1)
  if (min === undefined || max === undefined) return undefined
  const upper = sorted[sorted.length >> 1] as number
  const lower = sorted[(sorted.length - 1) >> 1] as number
  return { median: (lower + upper) / 2, min, max, runs: sorted.length }
}

/** The median, with the range if there were several runs. */
export const ranged = ({ max, median, min, runs }: Spread, format: (value: number) => string): string =>
  runs === 1 ? format(median) : `${format(median)} (${format(min)}–${format(max)}, ${runs} runs)`
