/**
 * The structures of `src/native/region/layout.h` and the headers beside it as data: names, sizes and offsets by the rules of
 * the language, which the headers' own static assertions confirm; what their comments say; and who writes each, by the
 * role of its line.
 */
import { readFileSync } from "node:fs"

export interface Field {
  readonly name: string
  readonly type: string
  readonly offset: number
  readonly bytes: number
  /** What the comment at the field, or above it, says. */
  readonly says: string
}

export interface Structure {
  readonly bytes: number
  readonly fields: ReadonlyArray<Field>
  /** What the comment above the structure says. */
  readonly says: string
}

interface Claim {
  readonly about: string
  readonly bytes: number
}

export class LayoutHeader {
  readonly constants: Map<string, number> = new Map()
  readonly structures: Map<string, Structure> = new Map()
  /** Who writes a line of that structure: the role, as its comment names it. */
  readonly writers: ReadonlyMap<string, string>
  /** Each static assertion on a size or an offset: its subject, and the asserted number. */
  readonly claims: ReadonlyArray<Claim>
  readonly #alignments = new Map(primitives)
  readonly #sizes = new Map(primitives)

  constructor() {
    this.#constants(read("line.h"))
    this.claims = headers.flatMap((file) => this.#header(read(file)))
    this.writers = writersIn([...headers, "region.h"].map(read).join(""), rolesIn(read("roles.h")))
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
    for (const [, above = "", align = "", name = "", body = ""] of shared.matchAll(topLevelStruct)) {
      this.#structure(name, align, body, textOf(above))
    }
    return [...shared.matchAll(/(sizeof|offsetof)\(([^)]*)\) == (\w+)/g)].map((
      [, kind = "", about = "", claimed = ""]
    ) => ({
      about: kind === "sizeof" ? about : about.replace(", ", "#"),
      bytes: this.#number(claimed)
    }))
  }

  // Adds the structure, and those inside it under `Outer.Inner`, as its members' types.
  #structure(name: string, align: string, body: string, says: string): void {
    const flat = body.replaceAll(
      innerStruct,
      (_, above: string, innerAlign: string, inner: string, innerBody: string, member: string) => {
        this.#structure(`${name}.${inner}`, innerAlign, innerBody, textOf(above))
        return member === "" ? "" : `${name}.${inner} ${member};`
      }
    )
    let end = 0
    let widest = 1
    const fields: Array<Field> = []
    // A typed line lies in memory as its fields do.
    const plain = flat.replaceAll(/(?:Host)?Line<([\w:]+)[^>]*>/g, (_, fields: string) => fields.replaceAll("::", "."))
    for (const [, above = "", type = "", members = "", beside = ""] of plain.matchAll(declaration)) {
      for (const member of members.split(",")) {
        const [, field = "", count = "1"] = /^\s*(\w+)(?:\[(\w+)\])?\s*$/.exec(member) ?? []
        const size = this.#sizes.get(type)
        if (size === undefined || field === "") throw new Error(`${name}: cannot read "${type} ${member}"`)
        const alignment = this.#alignments.get(type) ?? 1
        const offset = roundUp(end, alignment)
        const bytes = size * this.#number(count)
        // A line's own offset stands beside it.
        const besideIt = this.structures.has(type) ? beside.replace(/^\d+\s*/, "") : beside
        fields.push({ name: field, type, offset, bytes, says: `${textOf(above)} ${besideIt}`.trim() })
        end = offset + bytes
        widest = Math.max(widest, alignment)
      }
    }
    const alignment = align === "" ? widest : this.#number(align)
    const bytes = roundUp(end, alignment)
    this.structures.set(name, { bytes, fields, says })
    this.#sizes.set(name, bytes)
    this.#alignments.set(name, alignment)
  }

  #number(text: string): number {
    const value = /^\d/.test(text) ? Number(text) : this.constants.get(text)
    if (value === undefined) throw new Error(`${text} is not known`)
    return value
  }
}

/** Who writes a line that several processes change. */
export const ofHost = "any process of the host, each word in one atomic step"

// --- internal ---

const headers = ["doorbell_layout.h", "cursor_layout.h", "identity_layout.h", "layout.h", "ring_layout.h"]

/** A header of the region's room. */
const read = (file: string): string => readFileSync(new URL(`../src/native/region/${file}`, import.meta.url), "utf8")

/** Each is aligned to its own size. */
const primitives: ReadonlyArray<readonly [string, number]> = [
  ["double", 8],
  ["uint64_t", 8],
  ["uint32_t", 4],
  ["uint16_t", 2],
  ["char", 1]
]

const topLevelStruct = /^((?:\/\/[^\n]*\n)*)struct (?:alignas\((\w+)\) )?(\w+) \{(?: *\/\/[^\n]*)?\n(.*?)^\};/gms
const innerStruct =
  /^((?: {2}\/\/[^\n]*\n)*) {2}struct (?:alignas\((\w+)\) )?(\w+) \{(?: *\/\/[^\n]*)?\n(.*?)^ {2}\} ?(\w*);/gms
const declaration = /^((?:[ \t]*\/\/[^\n]*\n)*)[ \t]*([\w.]+) ([^;/\n]+);(?:[ \t]*\/\/ *([^\n]*))?/gm

/** The lines of a comment as one. */
const textOf = (comment: string): string =>
  comment.split("\n").map((line) => line.trim().replace(/^\/\/ ?/, "")).join(" ").trim()

const roundUp = (n: number, unit: number): number => Math.ceil(n / unit) * unit

/** `// The creator: makes a region.` above `class Creator {` names that role "the creator". */
const rolesIn = (code: string): ReadonlyMap<string, string> =>
  new Map(
    [...code.matchAll(/((?:\/\/[^\n]*\n)+)class (\w+)(?: : \w+)? \{/g)].map(([, comment = "", role = ""]) => [
      role,
      /^The ([^:.]+)[:.]/.exec(textOf(comment))?.[1] ?? ""
    ])
  )

const writersIn = (code: string, roles: ReadonlyMap<string, string>): ReadonlyMap<string, string> =>
  new Map(
    [...code.matchAll(/\b(Host)?Line<([\w:]+)(?:, role::(\w+))?>/g)].map(([, host, structure = "", role = ""]) => {
      const name = structure.replace("::", ".")
      if (host !== undefined) return [name, ofHost]
      const writer = roles.get(role) ?? ""
      if (writer === "") throw new Error(`roles.h: the comment of ${role} does not begin with who it is: "The …:"`)
      return [name, `the ${writer}`]
    })
  )
