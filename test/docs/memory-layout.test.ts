/**
 * docs/memory-layout.md agrees with the source: every structure, every offset, every pair of a publication and its
 * observation. A change of one without the other fails and names what is missing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { globSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { LayoutHeader, type Structure } from "../../scripts/layout-header.ts"
import { withTables } from "../../scripts/memory-layout.ts"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import { ringLead, ringReaderFate, ringReaderLine } from "../../src/layers/native/ring/sharedLines.ts"
import { frameHeader } from "../../src/layers/ring/FrameCodec.ts"

const root = resolve(import.meta.dirname, "../..")
const read = (file: string): string => readFileSync(join(root, file), "utf8")

const document = read("docs/memory-layout.md")
const header = new LayoutHeader()

type Row = ReadonlyArray<string>

/** The rows of every table whose first column has that heading, as cells. */
const tablesOf = (text: string, firstHeading: string): ReadonlyArray<ReadonlyArray<Row>> =>
  [...text.matchAll(/^\|.*\n\|[ -|]*\n((?:\|.*\n)+)/gm)]
    .filter(([table]) => cellsOf(table.split("\n")[0] ?? "")[0] === firstHeading)
    .map(([, rows = ""]) => rows.trimEnd().split("\n").map(cellsOf))

const cellsOf = (line: string): Row => line.split("|").slice(1, -1).map((cell) => cell.trim().replaceAll("`", ""))

const sections = [...document.matchAll(/^### ([\w.]+): (\d+) bytes\n(.*?)(?=^#|(?![\s\S]))/gms)]
  .map(([, name = "", bytes = "", text = ""]) => ({ name, bytes: Number(bytes), text }))

/** The fields as the tables show them, without reserved ones. */
const fieldsOf = (name: string): ReadonlyArray<Row> =>
  (header.structures.get(name)?.fields ?? [])
    .filter((field) => !field.name.startsWith("reserved"))
    .map((field) => [String(field.offset), String(field.bytes), field.name])

describe("docs/memory-layout.md", () => {
  it("is compared with a header that was read right", () => {
    assert.isAtLeast(header.claims.length, 30)
    for (const { about, bytes } of header.claims) assert.strictEqual(header.measured(about), bytes, about)
  })

  it("shows every structure that lies in a region, and no other", () => {
    const shown = new Set(sections.map(({ name }) => name))
    assert.deepStrictEqual([...header.structures.keys()].filter((name) => !shown.has(name)), [], "not shown")
    assert.deepStrictEqual([...shown].filter((name) => !header.structures.has(name)), [], "not in the headers")
  })

  it("shows each at its size, with every field at its offset", () => {
    for (const { bytes, name, text } of sections) {
      assert.strictEqual(bytes, header.structures.get(name)?.bytes, name)
      const shown = tablesOf(text, "offset").flat().map((row) => row.slice(0, 3))
      assert.deepStrictEqual(shown, fieldsOf(name), name)
    }
  })

  it("has each structure's part as `npm run layout` writes it from the declarations", () => {
    assert.strictEqual(withTables(document), document)
    for (const { name } of sections) assert.include(document, `<!-- structure ${name} -->\n\n### ${name}: `)
  })

  it("says of each who writes it", () => {
    for (const { name, text } of sections) assert.match(text, /^\nWritten by /, name)
  })

  it("shows the limits as they are", () => {
    const shown = tablesOf(document, "constant").flat()
    assert.sameMembers(shown.map(([name]) => name), [...header.constants.keys()])
    for (const [name = "", value] of shown) assert.strictEqual(Number(value), header.constants.get(name), name)
  })
})

// --- where the parts lie ---

const defaults: Record<string, number> = { ...CxlMemory.defaultGeometry, epochBlocks: 3 }
defaults["lanePayloadBytes"] = defaults["laneBytes"] ?? 0
defaults["window"] = 2 ** Math.ceil(Math.log2((defaults["brokers"] ?? 0) * (defaults["laneSlots"] ?? 0)))

const countOf = (formula: string): number =>
  formula.split(" × ").reduce((product, factor) => {
    const [, whole, parts] = /^⌈(\w+) \/ (\d+)⌉$/.exec(factor) ?? []
    const count = whole === undefined ? defaults[factor] : Math.ceil((defaults[whole] ?? 0) / Number(parts))
    return product * (count ?? Number(factor))
  }, 1)

/** `at.name = take(count, sizeof(Element))`, as rows of the element and the factors of the count. */
const takenIn = (code: string): Array<Array<string | undefined>> =>
  [...code.matchAll(/ = take\((.*), sizeof\((\w+)\)\);/g)].map(([, count = "", element = ""]) => [
    element,
    count
      .replaceAll(/uint64_t\{([^}]*)\}|g\./g, "$1")
      .replaceAll("g.", "")
      .replace("lanes", "brokers * clients")
      .replace(/^readers\b/, "topics * readers")
      .replace("at.identities()", "4 × clients")
      .replace("at.cursors()", "4 × clients")
      .replace("at.cursorLines()", "⌈brokers / 4⌉")
      .replace("at.factLines()", "⌈window / 8⌉")
      .replaceAll(" * ", " × ")
  ])

const pageUp = (bytes: number): number => Math.ceil(bytes / 4096) * 4096

describe("the tables of the region's parts", () => {
  const [region = [], block = []] = tablesOf(document, "part")
  const layout = read("src/native/region/layout.cc")
  const [beforeBlocks = "", fromBlocks = ""] = layout.split("at.blocks = end;")
  const [inBlock = "", behindBlocks = ""] = fromBlocks.split("at.blockBytes = ")

  it("name the parts in their order, as many as there are", () => {
    const shown = (rows: ReadonlyArray<Row>) => rows.map(([, element, , count]) => [element, count])
    assert.deepStrictEqual(shown(region), [
      ["Header", "1"],
      ...takenIn(beforeBlocks),
      ["see below", "epochBlocks"],
      ...takenIn(behindBlocks),
      ["bytes", "brokers × clients"],
      ["bytes", "rings"]
    ])
    assert.deepStrictEqual(shown(block.slice(1)), takenIn(inBlock))
  })

  it("name them in the order of the drawings", () => {
    const drawn = [...document.matchAll(/^```text\n(.*?)^```/gms)].map(([, drawing = ""]) => drawing)
    for (const rows of [region, block]) {
      const parts = rows.map(([part = ""]) => part.replace(/s$/, ""))
      const drawing = drawn.find((drawing) => parts.every((part) => drawing.includes(part))) ?? ""
      const places = parts.map((part) => drawing.indexOf(`│ ${part}`))
      assert.isAtLeast(places[0] ?? -1, 0)
      assert.deepStrictEqual(places, places.toSorted((a, b) => a - b), parts.join(", "))
    }
  })

  it("give each its place", () => {
    let end = 0
    for (const [part, element = "", bytes, count = "", offset] of block) {
      assert.deepStrictEqual([Number(bytes), Number(offset)], [header.structures.get(element)?.bytes, end], part)
      end += Number(bytes) * countOf(count)
    }
    const sizes: Record<string, number | undefined> = {
      "epoch blocks": pageUp(end),
      "payload rings": defaults["laneBytes"],
      "ring data": defaults["ringBytes"]
    }
    end = 0
    for (const [part = "", element = "", bytes, count = "", offset] of region) {
      const onPage = part === "epoch blocks" || part === "payload rings"
      const size = sizes[part] ?? header.structures.get(element)?.bytes
      assert.deepStrictEqual([Number(bytes), Number(offset)], [size, onPage ? pageUp(end) : end], part)
      end = Number(offset) + Number(bytes) * countOf(count)
    }
    assert.include(document, `In all ${end.toLocaleString("en-US")} bytes`)
  })

  it.effect.skipIf(process.platform !== "linux")(
    "add up to the size of a region, without rings and with them",
    () =>
      Effect.gen(function*() {
        const bytes = yield* CxlMemory.regionBytes(CxlMemory.defaultGeometry)
        const withRings = yield* CxlMemory.regionBytes({ ...CxlMemory.defaultGeometry, rings: 8 })
        assert.include(document, `In all ${bytes.toLocaleString("en-US")} bytes`)
        assert.include(document, `\`rings: 8\` it would be ${withRings.toLocaleString("en-US")}`)
      })
  )
})

describe("the fields of a ring that JavaScript loads and stores", () => {
  for (
    const [name, offsets] of Object.entries({
      RingLead: ringLead,
      RingReaderFate: ringReaderFate,
      RingReaderLine: ringReaderLine
    })
  ) {
    it(`have eight bytes in ${name}, where the native header has them`, () => {
      const { fields } = header.structures.get(name) as Structure
      const found = Object.keys(offsets).map((field) => fields.find((each) => each.name === field))
      assert.deepStrictEqual(found.map((field) => field?.offset), Object.values(offsets))
      assert.isTrue(found.every((field) => field?.bytes === 8))
    })
  }
})

describe("a frame's header in TypeScript", () => {
  it("has each field where the native header has it", () => {
    const { bytes, fields } = header.structures.get("FrameHeader") as Structure
    assert.deepStrictEqual(
      { bytes, offsets: Object.fromEntries(fields.map(({ name, offset }) => [name, offset])) },
      { bytes: frameHeader.bytes, offsets: { ...frameHeader.offsets } }
    )
  })
})

// --- what pairs with what ---

/** True for measuring code, whose shared memory is not in a region. */
const isMeasuring = (file: string): boolean => file.startsWith("measure/")

const sources = globSync("{region,log,ring,measure,napi}/**/*.cc", { cwd: join(root, "src/native") })
  .filter((file) => !isMeasuring(file))
  .toSorted()
  .map((file) => read(`src/native/${file}`))

const definition = /^(?!return|using|namespace)[\w:<>&* ]*?\b((?:\w+::)?\w+)\([^;]*$/

/** The functions that a `SYNC:` comment stands in or above. */
const synchronized = sources.flatMap((source) => {
  const lines = source.split("\n")
  return lines.flatMap((line, at) => {
    if (!line.includes("// SYNC:")) return []
    const inside = line.startsWith(" ")
    const candidates = inside ? lines.slice(0, at).toReversed() : lines.slice(at)
    const found = candidates.map((candidate) => definition.exec(candidate)?.[1]).find((name) => name !== undefined)
    return [found ?? `(line ${at + 1})`]
  })
})

describe("the tables of pairs", () => {
  const pairs = [...tablesOf(document, "what becomes visible"), ...tablesOf(document, "one side")].flat()
  const text = document.slice(document.indexOf("## What pairs with what"))
  const named = [
    ...text.matchAll(
      /`(?:sequencing::)?((?<=sequencing::)\w+|(?:[A-Z]\w+::)\w+|serverState|giveName|activeReader|named|openOwnFifo|removeRegion|findRing|\w+Lanes|claim\w+|slotState|syncedAt|declare[A-Z]\w+|topicAt|identityAt|wishForPlace|readersEnding|\w+sOf|ringReader\w+|readCursors?|writeCursor|commitCursor|lookAtCursors|finishWrite|readStored|copy\w+)`/g
    )
  ]
    .map(([, name = ""]) => name)

  it("name functions that there are", () => {
    assert.isAtLeast(pairs.length, 25)
    const defined = new Set(sources.flatMap((source) => source.split("\n").map((line) => definition.exec(line)?.[1])))
    for (const name of named) assert.isTrue(defined.has(name), name)
  })

  it("name every function that a SYNC comment of region, log and rings explains", () => {
    assert.isAtLeast(synchronized.length, 27)
    assert.deepStrictEqual(synchronized.filter((name) => !named.includes(name)), [])
  })
})
