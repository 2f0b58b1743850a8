/**
 * docs/file-format.md agrees with the code that writes and reads the files.
 */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { withTables } from "../../scripts/file-format.ts"
import { SegmentHeader } from "../../src/layers/files/format/header.ts"
import { batchBlock, block, commitBlock, type Field, preamble, sizes } from "../../src/layers/files/format/layout.ts"
import { Manifest } from "../../src/layers/files/ReplicaManifest.ts"

const document = readFileSync(join(import.meta.dirname, "../../docs/file-format.md"), "utf8")

const bytesOf = { bytes: 8, u32: 4, u64: 8, f64: 8 } as const

describe("docs/file-format.md", () => {
  it("has the tables and the example that the code writes: otherwise run npm run layout", () => {
    assert.strictEqual(withTables(document), document)
  })

  it("describes fields that fill their blocks without a gap", () => {
    const whole: ReadonlyArray<readonly [Readonly<Record<string, Field>>, number]> = [
      [preamble, sizes.preamble],
      [batchBlock, sizes.batch],
      [commitBlock, sizes.commit]
    ]
    for (const [fields, size] of whole) {
      let at = 0
      for (const [name, field] of Object.entries(fields)) {
        assert.strictEqual(field.at, at, name)
        at += bytesOf[field.type]
      }
      assert.strictEqual(at, size)
    }
    assert.deepStrictEqual(Object.keys(block), ["crc", "length", "kind"])
  })

  it("names every key of a header and of a manifest", () => {
    for (const key of [...Object.keys(SegmentHeader.fields), ...Object.keys(Manifest.fields)]) {
      assert.match(document, new RegExp(`^\\| .*\`${key}\``, "m"))
    }
  })
})
