/**
 * The table of runs names every test file once, with the run that its name puts it into.
 */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "../..")

const [, section = ""] = readFileSync(join(root, "docs/testing.md"), "utf8").split("| subject ")

const told = [...section.matchAll(/^\|[^|]+\| (.+?) +\| (.+?) +\|$/gm)].flatMap(([, files = "", run = ""]) =>
  [...files.matchAll(/`([^`]+\.test\.ts)`/g)].map(([, file = ""]) => ({ file, run }))
)

const runOf = (file: string): string =>
  file.endsWith(".long.test.ts")
    ? "`npm run test:long`"
    : file.endsWith(".rounds.test.ts")
    ? "both"
    : "`npm test`"

describe("the table of runs", () => {
  it("names every test file, once", () => {
    const files = globSync("**/*.test.ts", { cwd: join(root, "test") })
    assert.deepStrictEqual(told.map(({ file }) => file).toSorted(), files.toSorted())
  })

  it("says of each in which run it is", () => {
    assert.deepStrictEqual(told, told.map(({ file }) => ({ file, run: runOf(file) })))
  })
})
