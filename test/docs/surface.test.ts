/**
 * The public surface exports every service, and every error that a service can fail with.
 */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import * as ringfence from "../../src/index.ts"

const services = join(import.meta.dirname, "../../src/services")

/** The exports of a module, and of the modules that it exports under a name. */
const exportsOf = (module: object): ReadonlyArray<unknown> =>
  Object.values(module).flatMap((value: unknown) => isModule(value) ? Object.values(value) : [value])

const isModule = (value: unknown): value is object =>
  typeof value === "object" && value !== null &&
  (value as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] === "Module"

const isErrorOrService = (value: unknown): boolean =>
  typeof value === "function" && (value.prototype instanceof Error || "key" in value && "use" in value)

describe("the public surface", () => {
  it("has every service, and every error that a service can fail with", async () => {
    const files = [".", "schema", "input"].flatMap((folder) =>
      readdirSync(join(services, folder)).filter((name) => name.endsWith(".ts")).map((name) => join(folder, name))
    )
    const shown = new Set(exportsOf(ringfence))
    const missing: Array<string> = []
    let found = 0
    for (const file of files) {
      const module = await import(join(services, file)) as Record<string, unknown>
      for (const [name, value] of Object.entries(module)) {
        if (!isErrorOrService(value)) continue
        found += 1
        if (!shown.has(value)) missing.push(`${file}: ${name}`)
      }
    }
    assert.deepStrictEqual(missing, [])
    assert.isAbove(found, 40)
  })
})
