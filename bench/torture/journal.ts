/**
 * What each process of the torture writes down, line by line, so that a verdict can be given on processes that were
 * killed: a line that was written outlives its process.
 */
import * as Schema from "effect/Schema"
import { existsSync, openSync, readFileSync, writeSync } from "node:fs"

/** A publisher's numbering: of one process or, with an identity, of all processes that have it. */
const source = { publisher: Schema.Int, life: Schema.Int }

/** When, in microseconds of a clock that all processes of the host share and that never goes back. */
const at = { at: Schema.Int }

/** The process is attached to that region now: what it writes behind this is of the log there, and of this topic. */
const Joined = Schema.TaggedStruct("Joined", { region: Schema.String, topic: Schema.String })

/** A publisher was opened. Its first record has the number `committed`. */
const Opened = Schema.TaggedStruct("Opened", { ...source, sessionId: Schema.Int, committed: Schema.Int })

/**
 * The publisher sends records up to `accepted` from here on, and those up to `acknowledged` were; after that the topic
 * ended at `end`.
 */
const Progressed = Schema.TaggedStruct("Progressed", {
  ...source,
  ...at,
  accepted: Schema.Int,
  acknowledged: Schema.Int,
  end: Schema.Int
})

/** The publisher has ended by itself; each record that it accepted was acknowledged, unless it was `fenced`. */
const Closed = Schema.TaggedStruct("Closed", { ...source, accepted: Schema.Int, fenced: Schema.Boolean })

/**
 * A subscriber was opened, and begins at that position. It sees only what is durable, or all that is ordered; with a lag
 * memory does not wait for it.
 */
const Attached = Schema.TaggedStruct("Attached", {
  position: Schema.Int,
  isolation: Schema.optionalKey(Schema.Literals(["ordered", "durable"])),
  lag: Schema.optionalKey(Schema.Literals(["lapped", "history"]))
})

/** A subscriber was told that it misses these. */
const Gap = Schema.TaggedStruct("Gap", { from: Schema.Int, to: Schema.Int })

/** Behind that the topic began at `start`, and the subscriber's handle had counted so many gaps and records in them. */
const Missed = Schema.TaggedStruct("Missed", { start: Schema.Int, count: Schema.Int, records: Schema.Int })

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

/** The holder of a cursor is about to commit. */
const Committing = Schema.TaggedStruct("Committing", { position: Schema.Int })

/** Its commit has returned; a durable one is said to be on the disks. */
const Committed = Schema.TaggedStruct("Committed", { position: Schema.Int, durable: Schema.Boolean })

/** The disk of a replica has synced all records below, and is about to tell so. */
const Synced = Schema.TaggedStruct("Synced", { ...at, replica: Schema.String, position: Schema.Int })

/** The files of a replica were read from their beginning, which is at `position`; the runs that follow are in them. */
const Files = Schema.TaggedStruct("Files", { ...at, replica: Schema.String, position: Schema.Int })

/** The files of a replica contradict their format, or it says itself that it cannot go on with them. */
const Damaged = Schema.TaggedStruct("Damaged", { replica: Schema.String, what: Schema.String })

/** The log was restored: the topic goes on at `position`, in a new term. */
const Restored = Schema.TaggedStruct("Restored", { ...at, position: Schema.Int, term: Schema.Int })

/** Nothing more came to that topic in this region. */
const Ended = Schema.TaggedStruct("Ended", { topic: Schema.String, end: Schema.Int })

/** From `from` on a replica's disk did not sync, and until `at`. */
const Withheld = Schema.TaggedStruct("Withheld", { ...at, replica: Schema.String, from: Schema.Int })

const Entry = Schema.Union([
  Joined,
  Opened,
  Progressed,
  Closed,
  Attached,
  Gap,
  Missed,
  Run,
  Torn,
  Committing,
  Committed,
  Synced,
  Files,
  Damaged,
  Restored,
  Ended,
  Withheld
])
export type Entry = typeof Entry.Type
export type Run = typeof Run.Type
export type Gap = typeof Gap.Type
export type Opened = typeof Opened.Type
export type Progressed = typeof Progressed.Type
export type Closed = typeof Closed.Type

/** The entries of one process, in their order. */
export interface Journal {
  readonly process: string
  readonly entries: ReadonlyArray<Entry>
}

export type Write = (entry: Entry) => void

/** The present time as entries have it. */
export const nowMicros = (): number => Number(process.hrtime.bigint() / 1000n)

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
