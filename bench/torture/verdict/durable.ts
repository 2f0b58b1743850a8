/**
 * The verdict on the durable topic: what replicas synced, what their files have, and what is left of it when the log was
 * lost and restored. Its order is that of the last region, where all that was durable must be.
 */
import type { Entry, Journal, Run } from "../journal.ts"
import { byPosition, checkAgreement, checkReaders, checkSessions, type Order, orderOf, runsOf } from "./order.ts"
import type { Faults } from "./promises.ts"
import type { Era, Segment } from "./segments.ts"
import { checkCounts, checkForward, checkIdentity, checkOrder, positionsIn, type Source, sourcesOf } from "./sources.ts"

export const checkStored = (
  journals: ReadonlyArray<Journal>,
  segments: ReadonlyArray<Segment>,
  eras: ReadonlyArray<Era>,
  { durable: topic, replicas }: { readonly durable: string; readonly replicas: ReadonlyArray<string> },
  faults: Faults
): { readonly positions: number; readonly sources: number } => {
  const inEra = eras.map(({ region }) => segments.filter((segment) => segment.region === region))
  const end = eras.at(-1)?.ends.get(topic)
  const order = orderOf(inEra.at(-1) ?? [], end, faults)
  const sources = sourcesOf(segments)
  checkOrder(order, sources, faults)
  for (const source of sources.values()) {
    checkCounts(source, order, faults)
    checkForward(source, true, faults)
    checkIdentity(source, faults)
  }
  for (const [i, { restored }] of eras.entries()) {
    checkSessions(behind(inEra[i]!, restored?.position ?? 0), faults)
    if (i < eras.length - 1) checkLost(inEra[i]!, floorOf(eras, i), order, faults)
  }
  const acks = [...sources.values()].flatMap((source) => acksOf(source, order))
  const scans = scansOf(segments)
  checkFiles(scans, eras, topic, replicas, faults)
  checkSynced(acks, journals, replicas, faults)
  for (const { at, end, process } of scans) checkReached(acks, at, end, "stored", process, faults)
  checkRestored(acks, eras, faults)
  return { positions: end ?? endOf(order.runs), sources: sources.size }
}

// --- internal ---

const endOf = (runs: ReadonlyArray<Run>): number =>
  runs.reduce((most, { position, records }) => Math.max(most, position + records), 0)

/** What the segments have from that position on: records below it may be of sessions of another region. */
const behind = (segments: ReadonlyArray<Segment>, position: number): ReadonlyArray<Segment> =>
  segments.map((segment) => ({
    ...segment,
    entries: segment.entries.filter((entry) => entry._tag !== "Run" || entry.position >= position)
  }))

/** The lowest position at which a later region was restored: below, that of this one stays. */
const floorOf = (eras: ReadonlyArray<Era>, i: number): number =>
  Math.min(...eras.slice(i + 1).map(({ restored }) => restored?.position ?? 0))

/** A region that was lost: what was restored of it is where it was, and what was read as durable is restored. */
const checkLost = (segments: ReadonlyArray<Segment>, floor: number, order: Order, faults: Faults): void => {
  checkReaders(segments, faults)
  const runs = segments.flatMap(runsOf)
  checkAgreement(byPosition(runs), "agree", faults)
  const kept = [...runs, ...order.runs].flatMap((run) => below(run, floor))
  checkAgreement(byPosition(kept), "positions", faults)
  for (const segment of segments) {
    if (!isDurable(segment.entries)) continue
    const read = endOf(runsOf(segment))
    if (read > floor) faults.note("undone", `${segment.process} has read to ${read}, and ${floor} was restored`)
  }
}

const isDurable = (entries: ReadonlyArray<Entry>): boolean =>
  entries.some((entry) => entry._tag === "Attached" && entry.isolation === "durable")

const below = (run: Run, floor: number): ReadonlyArray<Run> =>
  run.position >= floor ? [] : [{ ...run, records: Math.min(run.records, floor - run.position) }]

interface Ack {
  readonly source: string
  readonly at: number
  /** Of the last record that is acknowledged. */
  readonly position: number
}

const acksOf = ({ name, progress }: Source, { bySource }: Order): ReadonlyArray<Ack> => {
  const positions = positionsIn(bySource.get(name) ?? [])
  return progress.flatMap(({ acknowledged, at }) => {
    const position = acknowledged === 0 ? undefined : positions(acknowledged - 1)
    return position === undefined ? [] : [{ source: name, at, position }]
  })
}

interface Scan {
  readonly process: string
  readonly replica: string
  readonly region: string
  readonly at: number
  readonly start: number
  readonly end: number
}

const scansOf = (segments: ReadonlyArray<Segment>): ReadonlyArray<Scan> =>
  segments.flatMap((segment) => {
    const found = segment.entries.find((entry) => entry._tag === "Files")
    if (found === undefined) return []
    const { at, position: start, replica } = found
    const { process, region } = segment
    return [{ process, replica, region, at, start, end: Math.max(start, endOf(runsOf(segment))) }]
  })

/** At the end the files of each replica have everything. Where the end was not seen, the run did not come to it. */
const checkFiles = (
  scans: ReadonlyArray<Scan>,
  eras: ReadonlyArray<Era>,
  topic: string,
  replicas: ReadonlyArray<string>,
  faults: Faults
): void => {
  for (const { process, start } of scans) if (start !== 0) faults.note("files", `${process} begins at ${start}`)
  const { ends, region } = eras.at(-1) ?? { ends: new Map<string, number>(), region: "" }
  const wanted = ends.get(topic)
  if (wanted === undefined) return
  for (const replica of replicas) {
    const end = scans.findLast((scan) => scan.replica === replica && scan.region === region)?.end ?? 0
    if (end !== wanted) faults.note("files", `replica ${replica} ends at ${end}, and the topic at ${wanted}`)
  }
}

/** Disks know of no regions, only of positions. */
const checkSynced = (
  acks: ReadonlyArray<Ack>,
  journals: ReadonlyArray<Journal>,
  replicas: ReadonlyArray<string>,
  faults: Faults
): void => {
  const all = journals.flatMap(({ entries }) => entries).filter((entry) => entry._tag === "Synced")
  for (const replica of replicas) {
    const synced = all.filter((entry) => entry.replica === replica).toSorted((a, b) => a.at - b.at)
    let [reached, next] = [0, 0]
    for (const { at, position, source } of acks.toSorted((a, b) => a.at - b.at)) {
      for (; next < synced.length && synced[next]!.at <= at; next += 1) {
        reached = Math.max(reached, synced[next]!.position)
      }
      if (position < reached) continue
      faults.note("synced", `${source}: position ${position}, when replica ${replica} had synced up to ${reached}`)
    }
  }
}

/** What was acknowledged by then is below that end. */
const checkReached = (
  acks: ReadonlyArray<Ack>,
  at: number,
  end: number,
  promise: "stored" | "restored",
  where: string,
  faults: Faults
): void => {
  const lost = acks.find((ack) => ack.at <= at && ack.position >= end)
  if (lost !== undefined) {
    faults.note(promise, `${lost.source}: position ${lost.position} was acknowledged, and ${where} ends at ${end}`)
  }
}

const checkRestored = (acks: ReadonlyArray<Ack>, eras: ReadonlyArray<Era>, faults: Faults): void => {
  let before = 0
  for (const { restored } of eras) {
    if (restored === undefined) continue
    const { at, position, term } = restored
    if (term <= before) faults.note("restored", `term ${term} follows ${before}`)
    before = Math.max(before, term)
    checkReached(acks, at, position, "restored", `the log of term ${term}`, faults)
  }
}
