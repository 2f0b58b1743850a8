/**
 * The verdict on readers that memory does not wait for. Each goes on exactly where its process before was: so each position
 * of the topic is either read or in one gap, over all of them.
 */
import type { Entry } from "../journal.ts"
import type { Faults } from "./promises.ts"
import type { Segment } from "./segments.ts"

/** What a reader was told that it misses. */
export interface Missed {
  readonly gaps: number
  readonly records: number
}

/** The readers that may be lapped, in one region. `end`: where the topic ended, if that was seen. */
export const checkLapped = (segments: ReadonlyArray<Segment>, end: number | undefined, faults: Faults): Missed => {
  let [gaps, records] = [0, 0]
  for (const own of readersOf(segments, "lapped")) {
    let next = 0
    for (const segment of own) {
      const told = checkGaps(segment, next, faults)
      next = told.next
      gaps += told.gaps
      records += told.records
    }
    if (next !== (end ?? next)) faults.note("gaps", `${own[0]?.process} came to ${next}, and the topic ends at ${end}`)
  }
  return { gaps, records }
}

/** The readers that go on in files, in all regions one after the other. */
export const checkHistory = (segments: ReadonlyArray<Segment>, end: number | undefined, faults: Faults): void => {
  for (const own of readersOf(segments, "history")) {
    let next = 0
    for (const { entries, process } of own) {
      for (const entry of entries) {
        if (entry._tag === "Gap") faults.note("history", `${process} misses ${entry.from} to ${entry.to}`)
        if (entry._tag !== "Attached" && entry._tag !== "Run") continue
        if (entry.position !== next) faults.note("history", `${process} goes on at ${entry.position}, not at ${next}`)
        next = entry.position + (entry._tag === "Run" ? entry.records : 0)
      }
    }
    if (next !== (end ?? next)) faults.note("history", `${own[0]?.process} came to ${next}, the topic to ${end}`)
  }
}

// --- internal ---

/** By the reader, the segments of its processes in their order. */
const readersOf = (
  segments: ReadonlyArray<Segment>,
  lag: "lapped" | "history"
): ReadonlyArray<ReadonlyArray<Segment>> => {
  const isOwn = (entry: Entry) => entry._tag === "Attached" && entry.lag === lag
  const own = segments.filter(({ entries }) => entries.some(isOwn))
  return [...Map.groupBy(own, ({ process }) => process.replace(/\.\d+$/, "")).values()]
}

/** Follows one handle from `next` on: what is read or told as missing begins where the last such thing ended. */
const checkGaps = ({ entries, process }: Segment, next: number, faults: Faults): Missed & { readonly next: number } => {
  let [gaps, records, gapsEnd] = [0, 0, 0]
  const goesOn = (what: string, at: number) => {
    if (at !== next) faults.note("gaps", `${process} ${what} at ${at}, and was to go on at ${next}`)
  }
  for (const entry of entries) {
    switch (entry._tag) {
      case "Attached":
        goesOn("begins", entry.position)
        next = entry.position
        break
      case "Gap":
        goesOn("tells a gap", entry.from)
        if (entry.to <= entry.from) faults.note("gaps", `${process} tells an empty gap at ${entry.from}`)
        next = gapsEnd = entry.to
        gaps += 1
        records += entry.to - entry.from
        break
      case "Run":
        goesOn("reads", entry.position)
        next = entry.position + entry.records
        break
      case "Missed":
        if (entry.start < gapsEnd) {
          faults.note("dropped", `${process} misses records up to ${gapsEnd}, and ${entry.start} and behind was kept`)
        }
        if (entry.count !== gaps || entry.records !== records) {
          faults.note("counted", `${process}: ${entry.records} in ${entry.count}, was told ${records} in ${gaps}`)
        }
    }
  }
  return { gaps, records, next }
}
