/**
 * Latency percentiles against the sorted samples themselves, and the form in which histograms travel.
 */
import { assert, describe, it } from "@effect/vitest"
import { decodeFromCompressedBase64 } from "hdr-histogram-js"
import { inModule } from "./snippet.ts"

/** Samples over seven powers of ten, from a generator that every run repeats. */
const samples = `
  let state = 7
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
  const samples = Array.from({ length: 20000 }, () => 10 ** (7 * random() - 1))
  const sorted = samples.toSorted((a, b) => a - b)
  const exact = (fraction) => sorted[Math.ceil(fraction * sorted.length) - 1]
  const fractions = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1]
`

describe("latency histogram", () => {
  it("knows percentiles to within a thousandth, from a tenth of a microsecond to a second", () => {
    const errors = inModule(
      "src/programs/measure/histogram",
      `${samples}
       const histogram = module.make()
       for (const sample of samples) histogram.record(sample)
       return fractions.map((fraction) => {
         const off = Math.abs(histogram.percentile(fraction) - exact(fraction))
         return off <= 0.001 ? 0 : off / exact(fraction)
       })`
    ) as ReadonlyArray<number>
    for (const error of errors) assert.isBelow(error, 0.001)
  })

  it("adds up over processes, and leaves warm-ups out", () => {
    const [whole, parts, rest] = inModule(
      "src/programs/measure/histogram",
      `${samples}
       const all = module.make()
       const parts = [module.make(), module.make(), module.make()]
       samples.forEach((sample, i) => { all.record(sample); parts[i % 3].record(sample) })
       const merged = module.merged(parts.map((part) => JSON.parse(JSON.stringify(part.encoded()))))
       const rest = module.encodedOf(Float64Array.from([...Array(500).fill(1e6), ...samples]), 500)
       return [all.percentiles(), merged.percentiles(), module.merged([rest]).percentiles()]`
    ) as readonly [unknown, unknown, unknown]
    assert.deepStrictEqual(parts, whole)
    assert.deepStrictEqual(rest, whole)
  })

  it("travels as nanoseconds in the form that HdrHistogram's tools read", () => {
    const encoded = inModule(
      "src/programs/measure/histogram",
      `const histogram = module.make()
       for (let i = 1; i <= 1000; i += 1) histogram.record(i)
       return histogram.percentiles().histogram`
    ) as string
    const read = decodeFromCompressedBase64(encoded)
    assert.strictEqual(read.totalCount, 1000)
    assert.closeTo(read.getValueAtPercentile(50), 500_000, 500)
    assert.closeTo(read.getValueAtPercentile(99), 990_000, 990)
  })

  it("takes nothing, the same again, and what is beyond its range", () => {
    const [none, same, beyond] = inModule(
      "src/programs/measure/histogram",
      `const none = module.make().percentiles()
       const same = module.make()
       for (let i = 0; i < 1000; i += 1) same.record(123.4)
       const beyond = module.make()
       for (const sample of [-1, 0, 1e12]) beyond.record(sample)
       return [none, same.percentiles(), beyond.percentiles()]`
    ) as ReadonlyArray<{ readonly samples: number; readonly p50: number; readonly p99: number; readonly max: number }>
    assert.deepInclude(none, { samples: 0, p50: 0, p99: 0, max: 0 })
    assert.strictEqual(same?.samples, 1000)
    assert.closeTo(same?.p50 ?? 0, 123.4, 0.12)
    assert.strictEqual(same?.max, same?.p50)
    assert.deepInclude(beyond, { samples: 3, p50: 0 })
    assert.closeTo(beyond?.max ?? 0, 3600e6, 3600e3)
  })
})
