/**
 * The effect of damage is documented for every field: the table of the native tests has each field of each structure in
 * a region, and docs/guarantees.md says the same of each.
 */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { LayoutHeader } from "../../scripts/layout-header.ts"

const root = resolve(import.meta.dirname, "../..")
const read = (file: string): string => readFileSync(join(root, file), "utf8")

const header = new LayoutHeader()

/** `Structure.field`, for each field of a structure without inner structures. */
const inLayout = [...header.structures].flatMap(([name, { fields }]) =>
  fields
    .filter((field) => !field.name.startsWith("reserved") && !header.structures.has(field.type))
    .map((field) => `${name}.${field.name}`)
)

const walked = new Map(
  [...read("src/native/test/damage_fields.cc").matchAll(/^ {4}FIELD\(([\w:]+), (\w+), ([\w |]+)\),$/gm)]
    .map(([, structure = "", field = "", may = ""]) => [`${structure.replace("::", ".")}.${field}`, may])
)

/** The rows of the table under "What damage to each field does": the fields of each, and their documented effect. */
const shown = () => {
  const [, section = ""] = read("docs/guarantees.md").split("## What damage to each field does\n")
  const rows = [...section.split("\n## ")[0]?.matchAll(/^\| `(\w+(?:\.\w+)?)` +\| (.*?) +\| (.*?) +\|$/gm) ?? []]
  return rows.flatMap(([, structure = "", fields = "", follows = ""]) =>
    [...fields.matchAll(/`(\w+)`/g)].map(([, field = ""]) => ({ field: `${structure}.${field}`, follows }))
  )
}

const wordsOf = (may: string): ReadonlyArray<string> =>
  may.split(" | ").map((word) => word === "misnamed" ? "a name" : word === "unharmed" ? "nothing" : word)

describe("what damage to each field does", () => {
  it("is walked for every field of every structure, and for no other", () => {
    assert.isAtLeast(walked.size, 150)
    assert.deepStrictEqual(inLayout.filter((field) => !walked.has(field)), [], "not walked")
    assert.deepStrictEqual([...walked.keys()].filter((field) => !inLayout.includes(field)), [], "not in the headers")
  })

  it("is said of every field, once, as the tests have it", () => {
    const said = shown()
    assert.deepStrictEqual(said.map(({ field }) => field).toSorted(), [...walked.keys()].toSorted())
    for (const { field, follows } of said) {
      const words = wordsOf(walked.get(field) ?? "")
      assert.strictEqual(follows.split(":")[0], words.join(", or "), field)
    }
  })
})
