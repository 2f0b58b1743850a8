/**
 * Writes the tables and the example of docs/file-format.md from the code that writes and reads the files. `npm run layout`
 * writes; a test holds that nothing is left to write.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { batchBytes, writeBatch } from "../src/layers/files/format/batch.ts"
import { crcOf, makeBytes } from "../src/layers/files/format/bytes.ts"
import { writeCommit } from "../src/layers/files/format/commit.ts"
import { writeHeader } from "../src/layers/files/format/header.ts"
import {
  batchBlock,
  block,
  commitBlock,
  type Field,
  headerBlock,
  preamble,
  sizes
} from "../src/layers/files/format/layout.ts"
import type { StoredBatch } from "../src/layers/files/StoredTopic.ts"

const page = new URL("../docs/file-format.md", import.meta.url)

/** The page, with the tables and the example as the code has them. */
export const withTables = (document: string): string =>
  document.replaceAll(/<!-- (\w+) -->\n.*?<!-- end of \1 -->/gs, (_, name: string) => {
    const part = name === "example" ? example() : tables[name]
    if (part === undefined) throw new Error(`there is no table ${name}`)
    return `<!-- ${name} -->\n\n${part}\n\n<!-- end of ${name} -->`
  })

// --- internal ---

const table = (fields: Readonly<Record<string, Field>>): string => {
  const rows = Object.entries(fields).map(([name, { at, says, type }]) => [String(at), type, `\`${name}\``, says])
  const all = [["offset", "type", "field", "meaning"], ...rows]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`
  return [line(all[0] ?? []), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")
}

/** The fields of a block besides those that all blocks begin with. */
const own = (fields: Readonly<Record<string, Field>>): Readonly<Record<string, Field>> =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !Object.hasOwn(block, name)))

const tables: Readonly<Record<string, string>> = {
  preamble: table(preamble),
  block: table(block),
  header: table(own(headerBlock)),
  batch: table(own(batchBlock)),
  commit: table(own(commitBlock))
}

const salt = 0x1d2c3b4a

const batch: StoredBatch = {
  index: 7,
  position: 20,
  messageCount: 2,
  sessionId: 3,
  batchSequence: 1,
  firstMessage: 4,
  broker: 0,
  uniformBytes: 0,
  lengths: Uint32Array.of(5, 6),
  payload: new TextEncoder().encode("hello world"),
  publishedMillis: 1_700_000_000_000,
  orderedMillis: 1_700_000_000_000.5,
  identity: { name: "ticks", record: 4, incarnation: 2 }
}

/** A whole segment with one batch, as a dump. */
const example = (): string => {
  const header = writeHeader(salt, {
    logId: "log",
    replicaId: "a",
    topic: "t",
    order: "total",
    ack: "durable",
    term: 0,
    firstIndex: 7,
    firstPosition: 20,
    orderedMillis: 0,
    identities: { ticks: { committed: 4, incarnation: 1 } }
  })
  const group = makeBytes(batchBytes(batch))
  writeBatch(group, 0, batch)
  const end = header.length + group.bytes.length + sizes.commit
  const commit = writeCommit(salt, {
    groupCrc: crcOf(group, 0, block.length.at),
    previousEnd: header.length,
    end,
    nextIndex: 8,
    nextPosition: 22,
    orderedMillis: batch.orderedMillis,
    batches: 1
  })
  const parts = [
    ["preamble", header.subarray(0, sizes.preamble)],
    ["header block", header.subarray(sizes.preamble)],
    ["batch block: fields", group.bytes.subarray(0, sizes.batch)],
    ["its identity, its lengths, its records", group.bytes.subarray(sizes.batch)],
    ["commit block", commit]
  ] as const
  let at = 0
  const lines = parts.flatMap(([name, bytes]) => {
    const rows = dump(bytes, at)
    at += bytes.length
    return [`${name}:`, ...rows]
  })
  return ["```text", ...lines, "```"].join("\n")
}

const dump = (bytes: Uint8Array, from: number): ReadonlyArray<string> => {
  const rows: Array<string> = []
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)]
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(47)
    const text = row.map((byte) => byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".").join("")
    rows.push(`${(from + at).toString(16).padStart(6, "0")}  ${hex}  ${text}`)
  }
  return rows
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, withTables(readFileSync(page, "utf8")))
