/**
 * Joins what readers saw to one order, and looks for what contradicts it.
 */
import { formatCount } from "../../../src/services/text/quantities.ts"
import type { Journal, Run } from "../journal.ts"
import type { Faults, PromiseName } from "./promises.ts"

export const nameOf = ({ life, publisher }: { readonly publisher: number; readonly life: number }): string =>
  `${publisher}.${life}`

export const runsOf = ({ entries }: Journal): ReadonlyArray<Run> => entries.filter((entry) => entry._tag === "Run")

export interface Order {
  /** Of all readers, without repetition, by position. */
  readonly runs: ReadonlyArray<Run>
  /** By source, in the order of their positions. */
  readonly bySource: ReadonlyMap<string, ReadonlyArray<Run>>
  /** Whether it was read from its beginning to its end: not in a run that did not come to its end. */
  readonly isWhole: boolean
}

/** Follows each reader. One that begins anew may lack what was trimmed while it was gone. */
export const checkReaders = (journals: ReadonlyArray<Journal>, faults: Faults): void => {
  for (const { entries, process } of journals) {
    let next: number | undefined
    for (const entry of entries) {
      if (entry._tag === "Attached" || entry._tag === "Files") {
        if (next !== undefined && entry.position < next) {
          faults.note("dense", `${process} went back to ${entry.position}`)
        }
        next = entry.position
      } else if (entry._tag === "Run") {
        if (entry.position !== next) faults.note("dense", `${process}: ${entry.position} follows ${(next ?? 0) - 1}`)
        next = entry.position + entry.records
      } else if (entry._tag === "Gap") {
        // Of one that may be lapped: how far a gap may go is judged with the gaps.
        next = entry.to
      } else if (entry._tag === "Torn") {
        faults.note("whole", `${process}, position ${entry.position}`)
      }
    }
  }
}

/** Joins what all readers saw. `end`: where the topic ended; what was read is taken for it if that is not known. */
export const orderOf = (journals: ReadonlyArray<Journal>, end: number | undefined, faults: Faults): Order => {
  checkReaders(journals, faults)
  const all = byPosition(journals.flatMap(runsOf))
  checkAgreement(all, "agree", faults)
  const runs: Array<Run> = []
  const isWhole = end !== undefined
  let next = 0
  for (const run of all) {
    if (run.position > next && (isWhole || next > 0)) {
      faults.note("complete", `${formatCount(run.position - next)} missing at ${next}`)
    }
    const skipped = Math.max(0, next - run.position)
    if (skipped >= run.records) continue
    runs.push(behind(run, skipped))
    next = run.position + run.records
  }
  if (next !== (end ?? next)) faults.note("complete", `read to ${next}, and the topic ends at ${end}`)
  return { runs, bySource: Map.groupBy(runs, nameOf), isWhole }
}

export const byPosition = (runs: ReadonlyArray<Run>): ReadonlyArray<Run> =>
  runs.toSorted((a, b) => a.position - b.position)

/** Of runs by position: those that overlap are of the same records. */
export const checkAgreement = (runs: ReadonlyArray<Run>, promise: PromiseName, faults: Faults): void => {
  let covering: Array<Run> = []
  for (const run of runs) {
    covering = covering.filter((other) => other.position + other.records > run.position)
    for (const other of covering) if (!agree(other, run)) faults.note(promise, `position ${run.position}`)
    covering.push(run)
  }
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

// A reader that begins anew, or was lapped, goes on in the midst of a session.
export const checkSessions = (journals: ReadonlyArray<Journal>, faults: Faults): void => {
  const owners = new Map<number, string>()
  for (const journal of journals) {
    const reached = new Map<number, Run>()
    let first = true
    for (const entry of journal.entries) {
      if (entry._tag === "Attached" || entry._tag === "Gap") {
        first = entry._tag === "Attached" && entry.position === 0
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
