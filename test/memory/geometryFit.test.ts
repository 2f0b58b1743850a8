/**
 * Sizes that follow the free space: which are reduced, how far, and that sizes that were set stay.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { fitGeometry, largestPart } from "../../src/layers/native/region/GeometryFit.ts"
import { defaultGeometry, type Geometry } from "../../src/services/schema/Geometry.ts"
import { geometryError } from "../../src/services/schema/RegionError.ts"

const mebibyte = 1024 * 1024

/** The bytes of a region, about as the native module computes them. */
const bytesOf = (geometry: Geometry): number => {
  if (geometryError("", geometry) !== undefined) return -1
  const { brokers, clients, indexEntries, laneBytes, laneSlots, readers, ringBytes, rings, topics } = geometry
  return 4096 + brokers * clients * (laneBytes + 64 * laneSlots) + topics * (256 * indexEntries + 256 * readers)
    + rings * ringBytes
}

const power = (least: number, most: number) => fc.integer({ min: least, max: most }).map((exponent) => 2 ** exponent)

const asked = fc.record({
  brokers: fc.integer({ min: 1, max: 32 }),
  clients: fc.integer({ min: 1, max: 256 }),
  topics: fc.integer({ min: 1, max: 64 }),
  rings: fc.integer({ min: 0, max: 64 }),
  laneBytes: power(20, 26),
  batchBytes: power(12, 17),
  laneSlots: power(3, 12),
  indexEntries: power(6, 16),
  ringBytes: power(12, 24)
}, { requiredKeys: [] })

describe("sizes that follow the free space", () => {
  it("stay where there is twice the room", () => {
    const { geometry, shrunk } = fitGeometry({}, 2 * bytesOf(defaultGeometry), bytesOf)
    assert.deepStrictEqual(geometry, defaultGeometry)
    assert.deepStrictEqual(shrunk, [])
  })

  it("fit half of 64 MiB and of 8 MiB, also with room for 64 topics", () => {
    for (const topics of [8, 64]) {
      for (const free of [64 * mebibyte, 8 * mebibyte]) {
        const { bytes, geometry, shrunk } = fitGeometry({ geometry: { topics } }, free, bytesOf)
        assert.isAtMost(bytes, free / 2)
        assert.isAbove(bytes, free / 5)
        assert.strictEqual(geometry.topics, topics)
        assert.include(shrunk.map(({ size }) => size), "laneBytes")
      }
    }
  })

  it("are never changed where they were asked for, make a region that can be, and are no smaller than needed", () => {
    fc.assert(fc.property(asked, fc.integer({ min: 1, max: 2048 }), (geometry, mebibytes) => {
      const free = mebibytes * mebibyte
      const fitted = fitGeometry({ geometry }, free, bytesOf)
      assert.deepInclude(fitted.geometry, geometry)
      assert.isUndefined(geometryError("", fitted.geometry))
      assert.strictEqual(fitted.bytes, bytesOf(fitted.geometry))
      for (const { from, size, to } of fitted.shrunk) {
        assert.notProperty(geometry, size)
        assert.isBelow(to, from)
        if (size === "batchBytes" || size === "laneBytes") continue
        assert.isAbove(bytesOf({ ...fitted.geometry, [size]: 2 * to }), Math.min(free / 2, fitted.bytes))
      }
    }))
  })

  it("become smaller although they were set, where the options allow it", () => {
    const named = { laneBytes: 16 * mebibyte, batchBytes: mebibyte, rings: 8, ringBytes: mebibyte }
    const { geometry } = fitGeometry({ geometry: named, shrinkable: ["ringBytes"] }, 64 * mebibyte, bytesOf)
    assert.deepInclude(geometry, { laneBytes: 16 * mebibyte, batchBytes: mebibyte, ringBytes: 64 * 1024 })
    const other = fitGeometry({ geometry: named, shrinkable: ["laneBytes", "batchBytes"] }, 256 * mebibyte, bytesOf)
    assert.deepInclude(other.geometry, { laneBytes: 2 * mebibyte, batchBytes: 256 * 1024, ringBytes: mebibyte })
  })

  it("follow each other: a lane holds eight batches, also where only one of the two was asked for", () => {
    const lane = fitGeometry({ geometry: { laneBytes: mebibyte } }, Infinity, bytesOf)
    assert.strictEqual(lane.geometry.batchBytes, mebibyte / 8)
    const batch = fitGeometry({ geometry: { batchBytes: 2 * mebibyte } }, Infinity, bytesOf)
    assert.strictEqual(batch.geometry.laneBytes, 16 * mebibyte)
    const little = fitGeometry({ geometry: { batchBytes: 2 * mebibyte } }, 4 * mebibyte, bytesOf)
    assert.strictEqual(little.geometry.laneBytes, 16 * mebibyte)
  })

  it("are named by what takes most", () => {
    const of = (geometry: Partial<Geometry>) => largestPart({ ...defaultGeometry, ...geometry }, bytesOf).sizes
    assert.deepStrictEqual(of({ indexEntries: 64 }), ["brokers", "clients", "laneBytes"])
    assert.deepStrictEqual(of({ clients: 1, topics: 64, indexEntries: 65_536 }), ["topics", "indexEntries"])
    assert.deepStrictEqual(of({ clients: 1, rings: 1024 }), ["rings", "ringBytes"])
  })
})
