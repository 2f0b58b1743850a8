/**
 * A latency histogram with a bounded relative error: buckets are linear within a power of two and double their width
 * from one power to the next. So microseconds and minutes fit into a few kilobytes, and the histograms of several
 * processes can be added.
 */
import * as Schema from "effect/Schema"

/** The non-empty buckets, in the form sent between processes. */
export const HistogramCounts = Schema.Struct({
  buckets: Schema.Array(Schema.Tuple([Schema.Int, Schema.Int])),
  minMicros: Schema.Finite,
  maxMicros: Schema.Finite
})
export type HistogramCounts = typeof HistogramCounts.Type

export interface Percentiles {
  readonly samples: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** 64 buckets for each power of two: values are known to within 1.6 %. */
const linearBits = 6
const linearBuckets = 1 << linearBits
/** The unit is a tenth of a microsecond; the last bucket begins above half an hour. */
const unitsPerMicro = 10
const powers = 30
const bucketCount = linearBuckets * (powers + 1)

export interface Histogram {
  readonly record: (micros: number) => void
  readonly merge: (counts: HistogramCounts) => void
  readonly percentile: (fraction: number) => number
  readonly counts: () => HistogramCounts
  readonly percentiles: () => Percentiles
}

export const make = (): Histogram => {
  const buckets = new Float64Array(bucketCount)
  let samples = 0
  let minMicros = Number.POSITIVE_INFINITY
  let maxMicros = 0

  const record = (micros: number): void => {
    const value = Math.max(0, micros)
    const bucket = bucketOf(value)
    buckets[bucket] = (buckets[bucket] ?? 0) + 1
    samples += 1
    minMicros = Math.min(minMicros, value)
    maxMicros = Math.max(maxMicros, value)
  }

  const merge = (counts: HistogramCounts): void => {
    if (counts.buckets.length === 0) return
    for (const [bucket, count] of counts.buckets) {
      if (bucket < 0 || bucket >= bucketCount) continue
      buckets[bucket] = (buckets[bucket] ?? 0) + count
      samples += count
    }
    minMicros = Math.min(minMicros, counts.minMicros)
    maxMicros = Math.max(maxMicros, counts.maxMicros)
  }

  // Clamp to the exact minimum and maximum, which are known.
  const percentile = (fraction: number): number => {
    if (samples === 0) return 0
    const wanted = Math.max(1, Math.ceil(fraction * samples))
    let seen = 0
    for (let bucket = 0; bucket < bucketCount; bucket += 1) {
      seen += buckets[bucket] ?? 0
      if (seen < wanted) continue
      return bucket === bucketCount - 1 ? maxMicros : Math.min(maxMicros, Math.max(minMicros, middleOf(bucket)))
    }
    return maxMicros
  }

  const counts = (): HistogramCounts => {
    const filled: Array<readonly [number, number]> = []
    buckets.forEach((count, bucket) => {
      if (count > 0) filled.push([bucket, count])
    })
    return { buckets: filled, minMicros: samples === 0 ? 0 : minMicros, maxMicros }
  }

  const percentiles = (): Percentiles => ({
    samples,
    p50: percentile(0.5),
    p99: percentile(0.99),
    p999: percentile(0.999),
    max: maxMicros
  })

  return { record, merge, percentile, counts, percentiles }
}

/** The sum of several processes' histograms. */
export const merged = (parts: ReadonlyArray<HistogramCounts>): Histogram => {
  const all = make()
  for (const part of parts) all.merge(part)
  return all
}

// --- internal ---

// In the lowest powers each unit is a bucket. Above, the highest set bit selects the power and the next six bits the
// bucket.
const bucketOf = (micros: number): number => {
  const units = Math.floor(micros * unitsPerMicro)
  if (units < linearBuckets) return units
  const power = Math.floor(Math.log2(units)) - linearBits + 1
  if (power > powers) return bucketCount - 1
  return power * linearBuckets + Math.min(linearBuckets - 1, Math.floor(units / 2 ** power * 2) - linearBuckets)
}

const middleOf = (bucket: number): number => {
  const power = Math.floor(bucket / linearBuckets)
  if (power === 0) return (bucket + 0.5) / unitsPerMicro
  const width = 2 ** (power - 1)
  const low = (linearBuckets + bucket % linearBuckets) * width
  return (low + width / 2) / unitsPerMicro
}
