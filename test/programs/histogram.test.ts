/**
 * Latency percentiles against the sorted samples themselves.
 */
import { assert, describe, it } from "@effect/vitest"
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
  it("knows percentiles to within two per cent, from a tenth of a microsecond to a second", () => {
    const errors = inModule(
      "src/programs/measure/histogram",
      `${samples}
       const histogram = module.make()
       for (const sample of samples) histogram.record(sample)
       return fractions.map((fraction) => {
         const off = Math.abs(histogram.percentile(fraction) - exact(fraction))
         return off <= 0.1 ? 0 : off / exact(fraction)
       })`
    ) as ReadonlyArray<number>
    for (const error of errors) assert.isBelow(error, 0.02)
  })

  it("adds up over processes", () => {
    const [whole, parts] = inModule(
      "src/programs/measure/histogram",
      `${samples}
       const all = module.make()
       const parts = [module.make(), module.make(), module.make()]
       samples.forEach((sample, i) => { all.record(sample); parts[i % 3].record(sample) })
       const merged = module.merged(parts.map((part) => JSON.parse(JSON.stringify(part.counts()))))
       return [all.percentiles(), merged.percentiles()]`
    ) as readonly [unknown, unknown]
    assert.deepStrictEqual(parts, whole)
  })

  it("takes nothing, the same again, and what is beyond its range", () => {
    const found = inModule(
      "src/programs/measure/histogram",
      `const none = module.make().percentiles()
       const same = module.make()
       for (let i = 0; i < 1000; i += 1) same.record(123.4)
       const beyond = module.make()
       for (const sample of [-1, 0, 1e12]) beyond.record(sample)
       return [none, same.percentiles(), beyond.percentiles()]`
    )
    assert.deepStrictEqual(found, [
      { samples: 0, p50: 0, p99: 0, p999: 0, max: 0 },
      { samples: 1000, p50: 123.4, p99: 123.4, p999: 123.4, max: 123.4 },
      { samples: 3, p50: 0.05, p99: 1e12, p999: 1e12, max: 1e12 }
    ])
  })
})
