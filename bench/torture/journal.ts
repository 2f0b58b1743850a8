/**
 * What each process of the torture writes down, line by line, so that a verdict can be given on processes that were
 * killed: a line that was written outlives its process.
 */
import * as Schema from "effect/Schema"
import { existsSync, openSync, readFileSync, writeSync } from "node:fs"

/** A publisher's numbering: of one process or, with an identity, of all processes that have it. */
const source = { publisher: Schema.Int, life: Schema.Int }

/** A publisher was opened. Its first record has the number `committed`. */
const Opened = Schema.TaggedStruct("Opened", { ...source, sessionId: Schema.Int, committed: Schema.Int })

/**
 * The publisher sends records up to `accepted` from here on, and those up to `acknowledged` were; after that the topic
 * ended at `end`.
 */
const Progressed = Schema.TaggedStruct("Progressed", {
  ...source,
  accepted: Schema.Int,
  acknowledged: Schema.Int,
  end: Schema.Int
})

/** The publisher has ended by itself; each record that it accepted was acknowledged, unless it was `fenced`. */
const Closed = Schema.TaggedStruct("Closed", { ...source, accepted: Schema.Int, fenced: Schema.Boolean })

/** A subscriber was opened, and begins at that position. */
const Attached = Schema.TaggedStruct("Attached", { position: Schema.Int })

/** Records that follow each other, in the topic as at their source and in their session. */
const Run = Schema.TaggedStruct("Run", {
  ...source,
  position: Schema.Int,
  first: Schema.Int,
  records: Schema.Int,
  sessionId: Schema.Int,
  firstMessage: Schema.Int
})

/** A record whose bytes are not what its publisher wrote. */
const Torn = Schema.TaggedStruct("Torn", { position: Schema.Int })

const Entry = Schema.Union([Opened, Progressed, Closed, Attached, Run, Torn])
export type Entry = typeof Entry.Type
export type Run = typeof Run.Type
export type Opened = typeof Opened.Type
export type Progressed = typeof Progressed.Type
export type Closed = typeof Closed.Type

/** The entries of one process, in their order. */
export interface Journal {
  readonly process: string
  readonly entries: ReadonlyArray<Entry>
}

export type Write = (entry: Entry) => void

/** Each entry is written before the call returns. */
export const journalTo = (path: string): Write => {
  const file = openSync(path, "a")
  return (entry) => void writeSync(file, `${JSON.stringify(entry)}\n`)
}

/** A process may be killed while it writes its last line, or before its first: what is not there is left out. */
export const journalFrom = (process: string, path: string): Journal => {
  if (!existsSync(path)) return { process, entries: [] }
  const lines = readFileSync(path, "utf8").split("\n")
  const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Entry))
  return { process, entries: lines.slice(0, -1).map((line) => decode(line)) }
}
