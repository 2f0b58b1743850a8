/**
 * The shares of a demonstration's input: every byte of the files as often as they are repeated, whichever way they are read.
 */
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inModule } from "./snippet.ts"

const lengths = [7, 1, 4096, 333]

/** The reads of shares of 3 cycles of the files, with what `between` does after the first full cycle of each. */
const readShares = (shares: number, between: string): ReadonlyArray<ReadonlyArray<number> | string> => {
  const folder = mkdtempSync(join(tmpdir(), "ringfence-input-"))
  try {
    const files = lengths.map((bytes, i) => ({ path: join(folder, String(i)), bytes }))
    files.forEach(({ bytes, path }, i) =>
      writeFileSync(path, Uint8Array.from({ length: bytes }, (_, at) => at * 7 + i))
    )
    return inModule(
      "src/programs/demo/input-share",
      `const { rmSync, truncateSync, writeFileSync } = await import("node:fs")
       const files = ${JSON.stringify(files)}
       const cycle = files.reduce((sum, { bytes }) => sum + bytes, 0)
       return module.split(files, 3 * cycle, 10, ${shares}).map((range) => {
         const reader = new module.InputReader(range)
         const chunk = new Uint8Array(1000)
         const read = []
         try {
           for (let filled = reader.fill(chunk); filled > 0; filled = reader.fill(chunk)) {
             read.push(...chunk.subarray(0, filled))
             if (read.length >= cycle + chunk.length) { ${between} }
           }
           return read
         } catch (error) {
           return error.message
         } finally {
           reader.close()
         }
       })`
    ) as ReadonlyArray<ReadonlyArray<number> | string>
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const cycle = lengths.flatMap((bytes, i) => Array.from({ length: bytes }, (_, at) => (at * 7 + i) % 256))

describe("input shares", () => {
  for (const shares of [1, 2, 7]) {
    it(`hold every byte of repeated files once, split into ${shares}`, () => {
      assert.deepStrictEqual(readShares(shares, "").flat(), [...cycle, ...cycle, ...cycle])
    })
  }

  it("read each file once, and repeat it as it was read", () => {
    const [share] = readShares(1, `for (const { bytes, path } of files) writeFileSync(path, new Uint8Array(bytes))`)
    assert.deepStrictEqual(share, [...cycle, ...cycle, ...cycle])
  })

  it("name a file that became shorter before it was read", () => {
    const [, second] = readShares(2, `truncateSync(files[2].path, 100)`)
    assert.match(String(second), /2 changed while it was being published: it ended at .* of 4 KiB/)
  })
})
