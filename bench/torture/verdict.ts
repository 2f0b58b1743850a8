/**
 * The verdict on a run of the torture, from what its processes wrote down: a pure function, and an independent reader of
 * the order. It knows nothing of how the log works, only what it promises.
 */
import { type Check, check } from "../../src/programs/cli/checks.ts"
import { formatCount, plural } from "../../src/services/text/quantities.ts"
import type { Closed, Journal, Opened, Progressed, Run } from "./journal.ts"

/** The promises that are checked, by the name of their check. */
export const promises = {
  whole: "each record is read as it was written",
  dense: "each reader sees positions without a hole or a repetition",
  agree: "all readers see the same record at a position",
  complete: "the readers together see all positions",
  sessions: "each session is a prefix, in its order, of one publisher's records",
  once: "no record is in the order twice",
  ordered: "each publisher's records are in the order in which it sent them, without a hole",
  sent: "no record is in the order that was not accepted",
  kept: "each acknowledged record is in the order",
  committed: "no record is acknowledged before it is committed",
  bounded: "no more is acknowledged than was accepted",
  forward: "a publisher's acknowledgements never fall",
  identity: "an identity goes on where it was committed, and never goes back",
  fenced: "nothing of a fenced publisher is committed behind its successor's beginning",
  finished: "a publisher that ends has all of its records in the order"
} as const

export type PromiseName = keyof typeof promises

export interface Verdict {
  readonly checks: ReadonlyArray<Check>
  readonly positions: number
  readonly sources: number
}

/** `end` is where the topic ended once all publishers had. */
export const verdictOf = (journals: ReadonlyArray<Journal>, end: number): Verdict => {
  const faults = new Faults()
  const order = orderOf(journals, end, faults)
  checkSessions(journals, faults)
  const sources = sourcesOf(journals)
  checkOrder(order, sources, faults)
  for (const source of sources.values()) checkSource(source, order, faults)
  return { checks: faults.checks(), positions: order.runs.length === 0 ? 0 : end, sources: sources.size }
}

// --- internal ---

class Faults {
  readonly #found = new Map<PromiseName, { times: number; readonly first: string }>()

  note(promise: PromiseName, what: string): void {
    const found = this.#found.get(promise)
    if (found === undefined) this.#found.set(promise, { times: 1, first: what })
    else found.times += 1
  }

  checks(): ReadonlyArray<Check> {
    return (Object.keys(promises) as Array<PromiseName>).map((promise) => {
      const found = this.#found.get(promise)
      const detail = found === undefined ? "holds" : `${plural(found.times, "time")} not, first: ${found.first}`
      return check(promises[promise], found === undefined, detail)
    })
  }
}

/** A process of a source, and what the processes before it have seen acknowledged. */
type Opening = Opened & { readonly process: string; readonly seen: number }

interface Source {
  readonly name: string
  readonly opened: Array<Opening>
  readonly progress: Array<Progressed>
  closed: Closed | undefined
}

const nameOf = ({ life, publisher }: { readonly publisher: number; readonly life: number }): string =>
  `${publisher}.${life}`

const runsOf = ({ entries }: Journal): ReadonlyArray<Run> => entries.filter((entry) => entry._tag === "Run")

interface Order {
  /** Of all readers, without repetition, by position. */
  readonly runs: ReadonlyArray<Run>
  /** By source, in the order of their positions. */
  readonly bySource: ReadonlyMap<string, ReadonlyArray<Run>>
}

// Follows each reader, and joins what they saw. A reader that begins anew may lack what was trimmed while it was gone.
const orderOf = (journals: ReadonlyArray<Journal>, end: number, faults: Faults): Order => {
  for (const { entries, process } of journals) {
    let next: number | undefined
    for (const entry of entries) {
      if (entry._tag === "Attached") {
        if (next !== undefined && entry.position < next) {
          faults.note("dense", `${process} went back to ${entry.position}`)
        }
        next = entry.position
      } else if (entry._tag === "Run") {
        if (entry.position !== next) faults.note("dense", `${process}: ${entry.position} follows ${(next ?? 0) - 1}`)
        next = entry.position + entry.records
      } else if (entry._tag === "Torn") {
        faults.note("whole", `${process}, position ${entry.position}`)
      }
    }
  }
  return joined(journals.flatMap(runsOf), end, faults)
}

const joined = (all: ReadonlyArray<Run>, end: number, faults: Faults): Order => {
  const runs: Array<Run> = []
  let next = 0
  let covering: Array<Run> = []
  for (const run of all.toSorted((a, b) => a.position - b.position)) {
    covering = covering.filter((other) => other.position + other.records > run.position)
    for (const other of covering) if (!agree(other, run)) faults.note("agree", `position ${run.position}`)
    covering.push(run)
    if (run.position > next) faults.note("complete", `${formatCount(run.position - next)} missing at ${next}`)
    const skipped = Math.max(0, next - run.position)
    if (skipped >= run.records) continue
    runs.push(behind(run, skipped))
    next = run.position + run.records
  }
  if (next !== end) faults.note("complete", `read to ${next}, and the topic ends at ${end}`)
  return { runs, bySource: Map.groupBy(runs, nameOf) }
}

const behind = (run: Run, records: number): Run => ({
  ...run,
  position: run.position + records,
  first: run.first + records,
  firstMessage: run.firstMessage + records,
  records: run.records - records
})

// Of two runs that overlap: both number records densely, so they agree everywhere if they agree once.
const agree = (a: Run, b: Run): boolean => {
  const apart = b.position - a.position
  return nameOf(a) === nameOf(b) && a.sessionId === b.sessionId && b.first - a.first === apart
    && b.firstMessage - a.firstMessage === apart
}

// A reader that begins anew goes on in the midst of a session.
const checkSessions = (journals: ReadonlyArray<Journal>, faults: Faults): void => {
  const owners = new Map<number, string>()
  for (const journal of journals) {
    const reached = new Map<number, Run>()
    let first = true
    for (const entry of journal.entries) {
      if (entry._tag === "Attached") {
        first = entry.position === 0
        reached.clear()
      }
      if (entry._tag !== "Run") continue
      const { firstMessage, sessionId } = entry
      const before = reached.get(sessionId)
      const expected = before === undefined ? first ? 0 : firstMessage : before.firstMessage + before.records
      if (firstMessage !== expected) {
        faults.note("sessions", `session ${sessionId}: record ${firstMessage} where ${expected} was due`)
      }
      const owner = owners.get(sessionId) ?? nameOf(entry)
      if (owner !== nameOf(entry)) {
        faults.note("sessions", `session ${sessionId} has records of ${owner} and ${nameOf(entry)}`)
      }
      owners.set(sessionId, owner)
      reached.set(sessionId, entry)
    }
  }
}

const sourcesOf = (journals: ReadonlyArray<Journal>): ReadonlyMap<string, Source> => {
  const sources = new Map<string, Source>()
  const seenOf = ({ progress }: Source): number => Math.max(0, ...progress.map(({ acknowledged }) => acknowledged))
  const of = (entry: Opened | Progressed | Closed): Source => {
    const name = nameOf(entry)
    const source = sources.get(name) ?? { name, opened: [], progress: [], closed: undefined }
    sources.set(name, source)
    return source
  }
  for (const { entries, process } of journals) {
    for (const entry of entries) {
      if (entry._tag === "Opened") of(entry).opened.push({ ...entry, process, seen: seenOf(of(entry)) })
      if (entry._tag === "Progressed") of(entry).progress.push(entry)
      if (entry._tag === "Closed") of(entry).closed = entry
    }
  }
  return sources
}

const checkOrder = ({ bySource }: Order, sources: ReadonlyMap<string, Source>, faults: Faults): void => {
  for (const [name, runs] of bySource) {
    let next = 0
    for (const { first, position, records } of runs) {
      if (first < next) faults.note("once", `record ${first} of ${name} again at position ${position}`)
      if (first > next) faults.note("ordered", `record ${first} of ${name} follows ${next - 1}`)
      next = Math.max(next, first + records)
    }
    const source = sources.get(name)
    if (source === undefined) faults.note("sent", `records of ${name}, which no publisher is`)
  }
}

const checkSource = (source: Source, order: Order, faults: Faults): void => {
  const { closed, name, opened, progress } = source
  const runs = order.bySource.get(name) ?? []
  const last = runs.at(-1)
  const inOrder = last === undefined ? 0 : last.first + last.records
  const acknowledged = Math.max(0, ...progress.map((at) => at.acknowledged))
  const accepted = Math.max(0, closed?.accepted ?? 0, ...progress.map((at) => at.accepted))
  if (inOrder > accepted) faults.note("sent", `${name}: ${inOrder} in the order, of ${accepted}`)
  if (acknowledged > inOrder) faults.note("kept", `${name}: ${acknowledged} acknowledged, ${inOrder} in the order`)
  if (closed !== undefined && !closed.fenced && closed.accepted !== inOrder) {
    faults.note("finished", `${name}: ${closed.accepted} accepted, ${inOrder} in the order`)
  }
  checkProgress(source, runs, faults)
  checkOpenings(name, opened, runs, faults)
}

const checkProgress = ({ name, progress }: Source, runs: ReadonlyArray<Run>, faults: Faults): void => {
  let before = 0
  let at = 0
  for (const { accepted, acknowledged, end } of progress) {
    if (acknowledged < before) faults.note("forward", `${name}: ${acknowledged} after ${before}`)
    if (acknowledged > accepted) faults.note("bounded", `${name}: ${acknowledged} of ${accepted}`)
    before = acknowledged
    while (at < runs.length && (runs[at] as Run).first + (runs[at] as Run).records < acknowledged) at += 1
    const run = runs[at]
    if (acknowledged === 0 || run === undefined) continue
    // Where the last acknowledged record stands, the topic must have reached.
    const position = run.position + acknowledged - 1 - run.first
    if (position >= end) {
      faults.note("committed", `${name}: ${acknowledged} acknowledged when the topic ended at ${end}`)
    }
  }
}

// The processes of an identity, one after the other: each begins at the committed count, and from there on only its own
// sessions commit.
const checkOpenings = (
  name: string,
  opened: ReadonlyArray<Opening>,
  runs: ReadonlyArray<Run>,
  faults: Faults
): void => {
  let before = 0
  for (const [i, { committed, process, seen }] of opened.entries()) {
    before = Math.max(before, seen)
    if (committed < before) faults.note("identity", `${name}: ${process} began at ${committed}, behind ${before}`)
    before = Math.max(before, committed)
    const next = opened[i + 1]?.committed ?? Infinity
    const own = runs.filter(({ first }) => first >= committed && first < next)
    if (own.some(({ first, records }) => first + records > next)) {
      faults.note("fenced", `${name}: a batch of ${process} goes on behind ${next}, where its successor began`)
    }
  }
}
