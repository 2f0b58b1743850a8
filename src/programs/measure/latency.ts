/**
 * Latencies as they travel between processes and stand in reports.
 */
import * as Schema from "effect/Schema"

/**
 * A histogram of nanoseconds in the standard form of HdrHistogram (version 2, compressed, base64), which its tools in any
 * language read.
 */
export const LatencyHistogram = Schema.String
export type LatencyHistogram = typeof LatencyHistogram.Type

/** In microseconds. */
export interface Percentiles {
  readonly samples: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  /** All of it. */
  readonly histogram: LatencyHistogram
}
