/**
 * Writes the tables of docs/memory-layout.md from the declarations: each structure's size, its writer by the role of its
 * line, its readers by the comment above it, its fields by theirs, and the fields by which the code publishes it. The
 * prose between the tables is written by hand. `npm run layout` writes; a test holds that nothing is left to write.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { LayoutHeader, ofHost, type Structure } from "./layout-header.ts"

const root = new URL("../", import.meta.url)
const page = new URL("docs/memory-layout.md", root)

/** The page, with the part of each structure as the declarations have it. */
export const withTables = (document: string): string => {
  const header = new LayoutHeader()
  const published = publications()
  return document.replaceAll(
    /<!-- structure (\S+) -->\n.*?<!-- end of \1 -->/gs,
    (_, name: string) => {
      const structure = header.structures.get(name)
      if (structure === undefined) throw new Error(`there is no structure ${name} any more`)
      const part = [
        `### ${name}: ${structure.bytes} bytes`,
        wrapped(
          [writer(header, name, structure), readers(structure), publication(name, structure, published)].join(" ")
        ),
        table(structure)
      ]
      return `<!-- structure ${name} -->\n\n${part.join("\n\n")}\n\n<!-- end of ${name} -->`
    }
  )
}

// --- internal ---

const sentence = (says: string, begins: string): string | undefined =>
  new RegExp(`(?:^|\\. )(${begins} .*?\\.)(?= [A-Z]|$)`).exec(says)?.[1]

/**
 * By the role of its line; for a structure of lines, by each. For a line of the host, which several processes
 * change, and for bytes that are no line, the comment in the header names the writers.
 */
const writer = (header: LayoutHeader, name: string, structure: Structure): string => {
  const said = sentence(structure.says, "Written by")
  const role = header.writers.get(name)
  if (role === ofHost && said !== undefined) return said
  if (role !== undefined) return `Written by ${role}.`
  const lines = structure.fields.map((field) => ({ field: field.name, writer: header.writers.get(field.type) }))
  if (lines.every(({ writer }) => writer !== undefined)) {
    const byWriter = Map.groupBy(lines, ({ writer }) => writer ?? "")
    const each = [...byWriter].map(([writer, its]) => `${writer} (${its.map(({ field }) => code(field)).join(", ")})`)
    return byWriter.size === 1 ? `Written by ${[...byWriter.keys()][0]}.` : `Written by ${each.join("; ")}.`
  }
  if (said === undefined) throw new Error(`${name}: no line says who writes it, and no comment`)
  return said
}

const readers = (structure: Structure): string => sentence(structure.says, "Read by") ?? ""

const publication = (
  name: string,
  structure: Structure,
  published: ReadonlyMap<string, ReadonlySet<string>>
): string => {
  const fields = structure.fields.filter((field) =>
    published.get(name)?.has(field.name) ||
    // By a template, for instance that of sealed lines.
    (published.get("Fields")?.has(field.name) && field.says.includes("published last"))
  )
  return fields.length === 0 ? "" : `Published by ${fields.map((field) => code(field.name)).join(", ")}.`
}

const code = (name: string): string => `\`${name}\``

/** The fields that the code publishes, of each structure. */
const publications = (): ReadonlyMap<string, Set<string>> => {
  const found = new Map<string, Set<string>>()
  const folder = fileURLToPath(new URL("src/native/", root))
  for (const file of globSync("{region,log,ring,napi}/**/*.{cc,h}", { cwd: folder }).toSorted()) {
    const text = readFileSync(`${folder}/${file}`, "utf8")
    for (const [, structure = "", field = ""] of text.matchAll(/\bpublish<&([A-Z]\w*(?:::[A-Z]\w*)?)::(\w+)>/g)) {
      const name = structure.replace("::", ".")
      found.set(name, (found.get(name) ?? new Set()).add(field))
    }
  }
  return found
}

const table = (structure: Structure): string => {
  const fields = structure.fields.filter((field) => !field.name.startsWith("reserved"))
  const rows = fields.map((field) => [String(field.offset), String(field.bytes), code(field.name), field.says])
  const all = [["offset", "bytes", "field", "meaning"], ...rows]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`
  const rule = line(widths.map((width) => "-".repeat(width)))
  return [line(all[0] ?? []), rule, ...rows.map(line)].join("\n")
}

const wrapped = (text: string): string => {
  const lines = [""]
  for (const word of text.trim().split(/\s+/)) {
    const longer = `${lines.at(-1)} ${word}`.trim()
    if (longer.length > 120) lines.push(word)
    else lines[lines.length - 1] = longer
  }
  return lines.join("\n")
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, withTables(readFileSync(page, "utf8")))
