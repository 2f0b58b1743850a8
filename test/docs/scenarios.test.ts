/**
 * The table of scenarios names the tests of each, and every test with a scenario's id is in it.
 */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "../..")
const text = (file: string): string => readFileSync(join(root, file), "utf8")

const numbered = (letter: string, count: number, digits: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => `${letter}${`${i + 1}`.padStart(digits, "0")}`)

/** Of the log: those that need remote brokers or other memory have no test, and say why. */
const ofLog = [
  "E01",
  "E02",
  "E03",
  "E04",
  "E06",
  "E07",
  "E08",
  "E09",
  "E10",
  "E12",
  "E13",
  "E14",
  "E15",
  "E16",
  "E17",
  "E18",
  "E20"
]

const ids = [...numbered("S", 25, 2), ...numbered("B", 10, 1), ...ofLog]

const rows = text("docs/scenarios.md").split("\n")
  .filter((line) => /^\| [SBE]\d/.test(line))
  .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()))

const described = rows.filter(({ length }) => length === 2).map(([id = ""]) => id)
const covered = rows.filter(({ length }) => length === 3).map(([id = "", name = "", file = ""]) => ({
  id,
  name,
  file: file.replaceAll("`", "")
}))

/** The ids that a name begins with: `S04a` is part of `S04`. */
const idsOf = (name: string): ReadonlyArray<string> =>
  /^(?:[SBE]\d{1,2}[abc]? )+/.exec(name)?.[0].trim().split(" ").map((id) => id.replace(/[abc]$/, "")) ?? []

/** The names of a file's tests, with `…` for the parts by which they are repeated. */
const namesIn = (file: string): ReadonlyArray<string> =>
  [...text(file).matchAll(/(["`])((?:[SE]\d\d[abc]?|B\d{1,2}) (?:(?!\1).)+)\1/g)]
    .map(([, , name = ""]) => name.replaceAll(/\$\{.*?\}|%s/g, "…"))

const row = (id: string, name: string, file: string): string => `| ${id} | ${name} | \`${file}\` |`

const found = globSync("test/**/*.ts", { cwd: root })
  .filter((file) => !file.startsWith("test/docs/"))
  .flatMap((file) => namesIn(file).flatMap((name) => idsOf(name).map((id) => row(id, name, file))))
const told = covered.map(({ file, id, name }) => row(id, name, file))

describe("the table of scenarios", () => {
  it("says of every scenario what has to hold, once and in order", () => {
    assert.deepStrictEqual(described, ids)
  })

  it("has a test for every scenario", () => {
    assert.deepStrictEqual(ids.filter((id) => !covered.some((row) => row.id === id)), [])
  })

  it("names every test that carries a scenario's id", () => {
    assert.deepStrictEqual(found.filter((row) => !told.includes(row)), [], "rows to be added")
  })

  it("names no other", () => {
    assert.deepStrictEqual(told.filter((row, i) => !found.includes(row) || told.indexOf(row) !== i), [])
  })
})
