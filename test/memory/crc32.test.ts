import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { crc32 as ofPlatform } from "node:zlib"
import { type Crc32, crc32, crc32OfLong } from "../../src/layers/files/format/crc32.ts"
import { seeded } from "../processes/seeded.ts"

describe("the checksum of blocks", () => {
  it("is the platform's, of each length, from each place in memory, and continued", () => {
    const random = seeded(32)
    const memory = Uint8Array.from({ length: 300_000 }, () => random(256))
    const lengths = [0, 1, 511, 512, 513, 4096, 262_144, ...Array.from({ length: 300 }, () => random(5000))]
    let seed = 0
    for (const length of lengths) {
      const from = random(memory.length - length)
      const bytes = memory.subarray(from, from + length)
      const sum = crc32(bytes, seed)
      assert.strictEqual(sum, ofPlatform(bytes, seed), `${length} bytes from ${from}, continued from ${seed}`)
      seed = sum
    }
  })

  it("is the library's where it is installed, and where it is not the platform's", () => {
    crc32(new Uint8Array(4096), 0)
    assert.include(readFileSync("/proc/self/maps", "utf8"), "/@node-rs/crc32-")
    const library: Crc32 = () => 1
    assert.strictEqual(crc32OfLong(() => ({ crc32: library })), library)
    const missing = () => {
      throw new Error("Cannot find native binding.")
    }
    assert.strictEqual(crc32OfLong(missing), ofPlatform)
  })
})
