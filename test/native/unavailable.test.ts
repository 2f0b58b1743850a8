/**
 * Without a native module, the in-memory backend works and the native layers fail with an error that says why.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "../..")

const program = `
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CxlMemory, Log, Publisher, Topic } from "./src/index.ts"

const publish = Effect.gen(function*() {
  const publisher = yield* Publisher.open(Topic.make("lines"))
  yield* publisher.send(new Uint8Array(10))
  yield* publisher.flush
  return publisher.acknowledged()
}).pipe(Effect.scoped)
const Native = Log.layerEmbedded().pipe(Layer.provideMerge(CxlMemory.layerAnonymous()))
const error = await Effect.runPromise(Effect.flip(publish.pipe(Effect.provide(Native))))
const acknowledged = await Effect.runPromise(publish.pipe(Effect.provide(Log.layerMemory())))
process.stdout.write(JSON.stringify({ fault: error.fault, message: error.message, acknowledged }))
`

describe("without the native module", () => {
  it("the in-memory backend works, and the native layers fail with a typed error", () => {
    const folder = mkdtempSync(join(tmpdir(), "ringfence-unavailable-"))
    try {
      cpSync(join(root, "src"), join(folder, "src"), { recursive: true })
      cpSync(join(root, "package.json"), join(folder, "package.json"))
      symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
      writeFileSync(join(folder, "program.ts"), program)
      const output = execFileSync(process.execPath, [join(folder, "program.ts")], { encoding: "utf8" })
      const { acknowledged, fault, message } = JSON.parse(output) as Record<string, unknown>
      assert.deepStrictEqual([acknowledged, fault], [1, "unsupported"])
      assert.include(String(message), "not built")
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
