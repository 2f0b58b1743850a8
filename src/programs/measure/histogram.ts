/**
 * Latency histograms, which are HDR histograms: values up to an hour are known to three digits, and the histograms of
 * several processes can be added.
 *
 * The library is slow to load, so the commands load this module only when they report.
 */
import {
  build,
  decodeFromCompressedBase64,
  encodeIntoCompressedBase64,
  type Histogram as Counts
} from "hdr-histogram-js"
import type { LatencyHistogram, Percentiles } from "./latency.ts"

export interface Histogram {
  /** Of microseconds; below zero counts as zero, and above an hour as an hour. */
  readonly record: (micros: number) => void
  readonly merge: (encoded: LatencyHistogram) => void
  /** In microseconds; zero without samples. */
  readonly percentile: (fraction: number) => number
  readonly encoded: () => LatencyHistogram
  readonly percentiles: () => Percentiles
}

export const make = (): Histogram => {
  const counts = build({
    // Plain JavaScript: WebAssembly has to be loaded asynchronously, and records are too few to win that time back.
    useWebAssembly: false,
    bitBucketSize: countBits,
    lowestDiscernibleValue: 1,
    highestTrackableValue: nanosMax,
    numberOfSignificantValueDigits: 3
  })
  const percentile = (fraction: number): number => microsAt(counts, fraction)
  const encoded = (): LatencyHistogram => encodeIntoCompressedBase64(counts)
  return {
    record: (micros) => counts.recordValue(Math.min(nanosMax, Math.max(0, Math.round(1000 * micros)))),
    merge: (encoded) => counts.add(decodeFromCompressedBase64(encoded, countBits)),
    percentile,
    encoded,
    percentiles: () => ({
      samples: counts.totalCount,
      p50: percentile(0.5),
      p99: percentile(0.99),
      p999: percentile(0.999),
      max: percentile(1),
      histogram: encoded()
    })
  }
}

/** The sum of several processes' histograms. */
export const merged = (parts: ReadonlyArray<LatencyHistogram>): Histogram => {
  const all = make()
  for (const part of parts) all.merge(part)
  return all
}

/** Of samples that were kept until the clock stood, in microseconds, without the first `warmup`. */
export const encodedOf = (micros: Float64Array, warmup = 0): LatencyHistogram => {
  const histogram = make()
  for (const sample of micros.subarray(warmup)) histogram.record(sample)
  return histogram.encoded()
}

// --- internal ---

const nanosMax = 3600 * 1e9
const countBits = 32

const microsAt = (counts: Counts, fraction: number): number =>
  counts.totalCount === 0 ? 0 : counts.getValueAtPercentile(100 * fraction) / 1000
