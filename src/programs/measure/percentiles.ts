/**
 * Exact percentiles of samples that are few enough to keep, where a histogram's buckets would be too wide.
 */
import * as Schema from "effect/Schema"

export const LatencyMicros = Schema.Struct({ p50Micros: Schema.Finite, p99Micros: Schema.Finite })
export type LatencyMicros = typeof LatencyMicros.Type

export const latencyOf = (micros: Float64Array | ReadonlyArray<number>): LatencyMicros => {
  const sorted = Float64Array.from(micros).toSorted()
  const at = (fraction: number) => sorted[Math.floor(fraction * Math.max(0, sorted.length - 1))] ?? 0
  return { p50Micros: at(0.5), p99Micros: at(0.99) }
}

/** The samples without the first `warmup`, taken before compilers and caches have settled. */
export const afterWarmup = (micros: Float64Array, warmup: number): Float64Array => micros.subarray(warmup)
