/**
 * The structures of `src/native/region/layout.h` and `ring_layout.h` as data: names, sizes and offsets by the rules of
 * the language, which the headers' own static assertions confirm.
 */
import { readFileSync } from "node:fs"

export interface Field {
  readonly name: string
  readonly type: string
  readonly offset: number
  readonly bytes: number
}

export interface Structure {
  readonly bytes: number
  readonly fields: ReadonlyArray<Field>
}

interface Claim {
  readonly about: string
  readonly bytes: number
}

export class LayoutHeader {
  readonly constants: Map<string, number> = new Map()
  readonly structures: Map<string, Structure> = new Map()
  /** Each static assertion on a size or an offset: its subject, and the asserted number. */
  readonly claims: ReadonlyArray<Claim>
  readonly #alignments = new Map(primitives)
  readonly #sizes = new Map(primitives)

  constructor() {
    this.#constants(read("line.h"))
    this.claims = ["layout.h", "ring_layout.h"].flatMap((file) => this.#header(read(file)))
  }

  /** The subject of a claim as measured here: the size of `Structure`, or the offset of `Structure#field`. */
  measured(about: string): number | undefined {
    const [name = "", field] = about.split("#")
    const structure = this.structures.get(name)
    return field === undefined ? structure?.bytes : structure?.fields.find(({ name }) => name === field)?.offset
  }

  #constants(code: string): void {
    for (const [, name = "", value = ""] of code.matchAll(/^constexpr \w+ (\w+) = (\w+);/gm)) {
      this.constants.set(name, Number(value.replace(/U?L*$/, "")))
    }
  }

  #header(code: string): ReadonlyArray<Claim> {
    this.#constants(code)
    // What lies in a region comes ahead of `Layout`, which lies in each process.
    const [shared = ""] = code.split("struct Layout {")
    for (const [, align = "", name = "", body = ""] of shared.matchAll(topLevelStruct)) {
      this.#structure(name, align, body)
    }
    return [...shared.matchAll(/(sizeof|offsetof)\(([^)]*)\) == (\w+)/g)].map((
      [, kind = "", about = "", claimed = ""]
    ) => ({
      about: kind === "sizeof" ? about : about.replace(", ", "#"),
      bytes: this.#number(claimed)
    }))
  }

  // Adds the structure, and those inside it under `Outer.Inner`, which its typed lines name.
  #structure(name: string, align: string, body: string): void {
    const flat = body.replaceAll(innerStruct, (_, innerAlign: string, inner: string, innerBody: string) => {
      this.#structure(`${name}.${inner}`, innerAlign, innerBody)
      return ""
    })
    let end = 0
    let widest = 1
    const fields: Array<Field> = []
    // A typed line lies in memory as its fields do.
    const plain = flat.replaceAll(/(?:Host)?Line<([\w:]+)[^>]*>/g, (_, fields: string) => fields.replaceAll("::", "."))
    for (const [, type = "", members = ""] of plain.matchAll(/^\s*([\w.]+) ([^;]+);/gm)) {
      for (const member of members.split(",")) {
        const [, field = "", count = "1"] = /^\s*(\w+)(?:\[(\w+)\])?\s*$/.exec(member) ?? []
        const size = this.#sizes.get(type)
        if (size === undefined || field === "") throw new Error(`${name}: cannot read "${type} ${member}"`)
        const alignment = this.#alignments.get(type) ?? 1
        const offset = roundUp(end, alignment)
        const bytes = size * this.#number(count)
        fields.push({ name: field, type, offset, bytes })
        end = offset + bytes
        widest = Math.max(widest, alignment)
      }
    }
    const alignment = align === "" ? widest : this.#number(align)
    const bytes = roundUp(end, alignment)
    this.structures.set(name, { bytes, fields })
    this.#sizes.set(name, bytes)
    this.#alignments.set(name, alignment)
  }

  #number(text: string): number {
    const value = /^\d/.test(text) ? Number(text) : this.constants.get(text)
    if (value === undefined) throw new Error(`${text} is not known`)
    return value
  }
}

// --- internal ---

/** A header of the region's room, without its comments. */
const read = (file: string): string =>
  readFileSync(new URL(`../../src/native/region/${file}`, import.meta.url), "utf8").replaceAll(/ *\/\/.*$/gm, "")

/** Each is aligned to its own size. */
const primitives: ReadonlyArray<readonly [string, number]> = [
  ["double", 8],
  ["uint64_t", 8],
  ["uint32_t", 4],
  ["uint16_t", 2],
  ["char", 1]
]

const topLevelStruct = /^struct (?:alignas\((\w+)\) )?(\w+) \{\n(.*?)^\};/gms
const innerStruct = /^ {2}struct (?:alignas\((\w+)\) )?(\w+) \{\n(.*?)^ {2}\};\n/gms

const roundUp = (n: number, unit: number): number => Math.ceil(n / unit) * unit
