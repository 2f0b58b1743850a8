/**
 * Checks what each publisher was told against the order.
 */
import type { Closed, Opened, Progressed, Run } from "../journal.ts"
import { nameOf, type Order } from "./order.ts"
import type { Faults } from "./promises.ts"
import type { Segment } from "./segments.ts"

/** A process of a source, and what the processes before it have seen acknowledged. */
type Opening = Opened & { readonly process: string; readonly region: string; readonly seen: number }

export interface Source {
  readonly name: string
  readonly opened: Array<Opening>
  readonly progress: Array<Progressed>
  closed: Closed | undefined
}

export const sourcesOf = (segments: ReadonlyArray<Segment>): ReadonlyMap<string, Source> => {
  const sources = new Map<string, Source>()
  const of = (entry: Opened | Progressed | Closed): Source => {
    const name = nameOf(entry)
    const source = sources.get(name) ?? { name, opened: [], progress: [], closed: undefined }
    sources.set(name, source)
    return source
  }
  for (const { entries, process, region } of segments) {
    for (const entry of entries) {
      if (entry._tag === "Opened") {
        const seen = largest(of(entry).progress, ({ acknowledged }) => acknowledged)
        of(entry).opened.push({ ...entry, process, region, seen })
      }
      if (entry._tag === "Progressed") of(entry).progress.push(entry)
      if (entry._tag === "Closed") of(entry).closed = entry
    }
  }
  return sources
}

export const checkOrder = (
  { bySource, isWhole }: Order,
  sources: ReadonlyMap<string, Source>,
  faults: Faults
): void => {
  for (const [name, runs] of bySource) {
    let next = isWhole ? 0 : runs[0]?.first ?? 0
    for (const { first, position, records } of runs) {
      if (first < next) faults.note("once", `record ${first} of ${name} again at position ${position}`)
      if (first > next) faults.note("ordered", `record ${first} of ${name} follows ${next - 1}`)
      next = Math.max(next, first + records)
    }
    const source = sources.get(name)
    if (source === undefined) faults.note("sent", `records of ${name}, which no publisher is`)
  }
}

/** What was accepted and acknowledged, against what is in the order. */
export const checkCounts = ({ closed, name, progress }: Source, order: Order, faults: Faults): void => {
  const last = order.bySource.get(name)?.at(-1)
  const inOrder = last === undefined ? 0 : last.first + last.records
  const acknowledged = largest(progress, (at) => at.acknowledged)
  const accepted = Math.max(closed?.accepted ?? 0, largest(progress, (at) => at.accepted))
  if (inOrder > accepted) faults.note("sent", `${name}: ${inOrder} in the order, of ${accepted}`)
  if (order.isWhole && acknowledged > inOrder) {
    faults.note("kept", `${name}: ${acknowledged} acknowledged, ${inOrder} in the order`)
  }
  if (closed !== undefined && !closed.fenced && closed.accepted !== inOrder) {
    faults.note("finished", `${name}: ${closed.accepted} accepted, ${inOrder} in the order`)
  }
}

/** Acknowledgements never fall and are of what was sent. `mayNotKnow`: a publisher notes 0 before it knows of the first. */
export const checkForward = ({ name, progress }: Source, mayNotKnow: boolean, faults: Faults): void => {
  let before = 0
  for (const { accepted, acknowledged } of progress) {
    if (acknowledged === 0 && mayNotKnow) continue
    if (acknowledged < before) faults.note("forward", `${name}: ${acknowledged} after ${before}`)
    if (acknowledged > accepted) faults.note("bounded", `${name}: ${acknowledged} of ${accepted}`)
    before = Math.max(before, acknowledged)
  }
}

/** Where the last acknowledged record stands, the topic must have reached. */
export const checkCommitted = ({ name, progress }: Source, { bySource }: Order, faults: Faults): void => {
  const positions = positionsIn(bySource.get(name) ?? [])
  for (const { acknowledged, end } of progress) {
    const position = acknowledged === 0 ? undefined : positions(acknowledged - 1)
    if (position !== undefined && position >= end) {
      faults.note("committed", `${name}: ${acknowledged} acknowledged when the topic ended at ${end}`)
    }
  }
}

/**
 * The processes of an identity, one after the other: in one region each begins at the committed count, which never falls;
 * in one that was restored at least behind what was acknowledged.
 */
export const checkIdentity = ({ name, opened }: Source, faults: Faults): void => {
  let before = 0
  for (const [i, { committed, process, region, seen }] of opened.entries()) {
    before = region === opened[i - 1]?.region ? Math.max(before, seen) : seen
    if (committed < before) faults.note("identity", `${name}: ${process} began at ${committed}, behind ${before}`)
    before = Math.max(before, committed)
  }
}

/** From where a process of an identity began only its own sessions commit. */
export const checkFenced = ({ name, opened }: Source, { bySource }: Order, faults: Faults): void => {
  const runs = bySource.get(name) ?? []
  for (const [i, { committed, process }] of opened.entries()) {
    const next = opened[i + 1]?.committed ?? Infinity
    const own = runs.filter(({ first }) => first >= committed && first < next)
    if (own.some(({ first, records }) => first + records > next)) {
      faults.note("fenced", `${name}: a batch of ${process} goes on behind ${next}, where its successor began`)
    }
  }
}

/** Where a record of a source stands, by its number there; `undefined` if it is not in these runs, which are in its order. */
export const positionsIn = (runs: ReadonlyArray<Run>) => (number: number): number | undefined => {
  let [low, high] = [0, runs.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const { first, records } = runs[middle] as Run
    if (first + records > number) high = middle
    else low = middle + 1
  }
  const run = runs[low]
  return run === undefined || run.first > number ? undefined : run.position + number - run.first
}

// --- internal ---

const largest = <A>(all: ReadonlyArray<A>, of: (one: A) => number): number =>
  all.reduce((most, one) => Math.max(most, of(one)), 0)
