/**
 * The verdict on a run of the torture, from what its processes wrote down: a pure function, and an independent reader of
 * the order. It knows nothing of how the log works, only what it promises.
 */
import type { Check } from "../../../src/programs/cli/checks.ts"
import type { Journal } from "../journal.ts"
import { checkCursor } from "./cursors.ts"
import { checkStored } from "./durable.ts"
import { checkHistory, checkLapped, type Missed } from "./lagging.ts"
import { checkSessions, orderOf } from "./order.ts"
import { Faults } from "./promises.ts"
import { conductor, type Era, erasOf, type Segment, segmentsOf } from "./segments.ts"
import {
  checkCommitted,
  checkCounts,
  checkFenced,
  checkForward,
  checkIdentity,
  checkOrder,
  sourcesOf
} from "./sources.ts"

export { promises } from "./promises.ts"

export interface Verdict {
  readonly checks: ReadonlyArray<Check>
  /** Of all topics, in all regions. */
  readonly positions: number
  readonly restores: number
  /** By readers that may be lapped. */
  readonly missed: Missed
}

/** What the log was told to do. */
export interface Terms {
  /** The topics whose records are acknowledged once they are ordered, and once they are durable. */
  readonly ordered: string
  readonly durable: string
  /** The replicas that must have synced what is durable. */
  readonly replicas: ReadonlyArray<string>
}

export const verdictOf = (journals: ReadonlyArray<Journal>, terms: Terms): Verdict => {
  const faults = new Faults()
  const segments = segmentsOf(journals)
  const eras = erasOf(segments)
  const parts = segments.filter(({ process }) => process !== conductor)
  const ordered = parts.filter(({ topic }) => topic === terms.ordered)
  const durable = parts.filter(({ topic }) => topic === terms.durable)
  let [positions, gaps, records] = [0, 0, 0]
  for (const era of eras) {
    const ofEra = ordered.filter(({ region }) => region === era.region)
    const end = era.ends.get(terms.ordered)
    positions += checkOrdered(ofEra, end, faults)
    const missed = checkLapped(ofEra, end, faults)
    gaps += missed.gaps
    records += missed.records
  }
  if (durable.length > 0) {
    positions += checkStored(journals, durable, eras, terms, faults).positions
    checkCursor(durable, faults)
    checkHistory(durable, eras.at(-1)?.ends.get(terms.durable), faults)
  }
  for (const { entries, process } of segments) {
    for (const entry of entries) {
      if (entry._tag === "Damaged") faults.note("files", `${process}, replica ${entry.replica}: ${entry.what}`)
    }
  }
  checkBeside(segments, ordered, faults)
  return { checks: faults.checks(), positions, restores: restoresOf(eras), missed: { gaps, records } }
}

// --- internal ---

const restoresOf = (eras: ReadonlyArray<Era>): number => eras.filter(({ restored }) => restored !== undefined).length

/** A topic that ends with its region. */
const checkOrdered = (segments: ReadonlyArray<Segment>, end: number | undefined, faults: Faults): number => {
  const order = orderOf(segments, end, faults)
  checkSessions(segments, faults)
  const sources = sourcesOf(segments)
  checkOrder(order, sources, faults)
  for (const source of sources.values()) {
    checkCounts(source, order, faults)
    checkForward(source, false, faults)
    checkCommitted(source, order, faults)
    checkIdentity(source, faults)
    checkFenced(source, order, faults)
  }
  const last = order.runs.at(-1)
  return end ?? (last === undefined ? 0 : last.position + last.records)
}

/** While a replica did not sync, publishers of the ordered topic had more acknowledged. */
const checkBeside = (segments: ReadonlyArray<Segment>, ordered: ReadonlyArray<Segment>, faults: Faults): void => {
  const progress = ordered.flatMap(({ entries }) => entries).filter((entry) => entry._tag === "Progressed")
  for (const entry of segments.flatMap(({ entries }) => entries)) {
    if (entry._tag !== "Withheld") continue
    const before = new Map<string, number>()
    const grew = new Set<string>()
    for (const { acknowledged, at, life, publisher } of progress) {
      if (at < entry.from || at > entry.at) continue
      const name = `${publisher}.${life}`
      if (acknowledged > (before.get(name) ?? acknowledged)) grew.add(name)
      before.set(name, Math.min(before.get(name) ?? acknowledged, acknowledged))
    }
    if (grew.size === 0) {
      faults.note("beside", `no acknowledgement in ${entry.at - entry.from} µs without replica ${entry.replica}`)
    }
  }
}
