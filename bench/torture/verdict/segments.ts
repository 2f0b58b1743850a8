/**
 * Splits journals into what each process wrote down of one topic in one region: a log that is restored lies in another
 * region than the one that was lost.
 */
import type { Entry, Journal } from "../journal.ts"

/** What a process saw of a topic in one region. */
export interface Segment extends Journal {
  readonly topic: string
  readonly region: string
}

export const segmentsOf = (journals: ReadonlyArray<Journal>): ReadonlyArray<Segment> =>
  journals.flatMap(({ entries, process }) => {
    const segments: Array<Segment & { readonly entries: Array<Entry> }> = []
    for (const entry of entries) {
      if (entry._tag === "Joined") segments.push({ process, topic: entry.topic, region: entry.region, entries: [] })
      else segments.at(-1)?.entries.push(entry)
    }
    return segments
  })

/** A log's life in one region. */
export interface Era {
  readonly region: string
  /** Where it was restored, and when; the first one was not. */
  readonly restored: { readonly position: number; readonly term: number; readonly at: number } | undefined
  /** Where topics ended, if that was seen. */
  readonly ends: ReadonlyMap<string, number>
}

/** The lives of the log one after the other, as the program that tortures has seen them. */
export const erasOf = (segments: ReadonlyArray<Segment>): ReadonlyArray<Era> =>
  segments.filter(({ process }) => process === conductor).map(({ entries, region }) => ({
    region,
    restored: entries.find((entry) => entry._tag === "Restored"),
    ends: new Map(entries.flatMap((entry) => entry._tag === "Ended" ? [[entry.topic, entry.end] as const] : []))
  }))

/** The process that tortures the others. */
export const conductor = "conductor"
