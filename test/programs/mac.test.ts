/**
 * The checksums of the demonstration: equal for equal streams in whatever pieces, and only for those.
 */
import { assert, describe, it } from "@effect/vitest"
import { inModule } from "./snippet.ts"

const bytes = `
  const bytes = Uint8Array.from({ length: 10000 }, (_, i) => Math.imul(i, 2654435761) >>> 13)
  const macOf = (key, ...pieces) => {
    const mac = new module.StreamMac(key)
    for (const piece of pieces) mac.update(piece)
    return mac.digest()
  }
`

describe("stream checksum", () => {
  it("does not depend on how the stream is cut", () => {
    const [whole, pieces, none] = inModule(
      "src/programs/measure/mac",
      `${bytes}
       const key = module.newMacKey()
       const cut = [0, 0, 7, 4001, 4016, 10000, 10000]
       return [
         macOf(key, bytes),
         macOf(key, ...cut.slice(1).map((end, i) => bytes.subarray(cut[i], end))),
         macOf(key) === module.macOf(key, new Uint8Array())
       ]`
    ) as ReadonlyArray<unknown>
    assert.strictEqual(pieces, whole)
    assert.isTrue(none)
  })

  it("differs with a bit, an order, a length, and a key", () => {
    const macs = inModule(
      "src/programs/measure/mac",
      `${bytes}
       const [key, other] = [module.newMacKey(), module.newMacKey()]
       const [begin, end] = [bytes.subarray(0, 4096), bytes.subarray(4096)]
       const flipped = Uint8Array.from(bytes)
       flipped[9999] ^= 1
       const longer = new Uint8Array(10001)
       longer.set(bytes)
       return [macOf(key, bytes), macOf(key, flipped), macOf(key, end, begin), macOf(key, longer), macOf(key, begin), macOf(other, bytes)]`
    ) as ReadonlyArray<string>
    assert.strictEqual(new Set(macs).size, 6)
  })
})
