/**
 * The single measurements of the log benchmark: the machine's own copy, and the log in one configuration.
 */
import * as Effect from "effect/Effect"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type * as Scope from "effect/Scope"
import { join } from "node:path"
import { defaultGeometry } from "../../src/layers/CxlMemory.ts"
import { defaultSyncBytes, defaultSyncMillis } from "../../src/layers/files/replica/replicaOptions.ts"
import type { DiskError } from "../../src/layers/ports/Disk.ts"
import { planRegion } from "../../src/programs/cli/region-plan.ts"
import type { RunStalled } from "../../src/programs/log-trial/monitor.ts"
import type { ReplicaJob, SyncTime } from "../../src/programs/log-trial/replicas.ts"
import * as LogRun from "../../src/programs/log-trial/run.ts"
import * as Histogram from "../../src/programs/measure/histogram.ts"
import type { Percentiles } from "../../src/programs/measure/latency.ts"
import type { ChildError } from "../../src/programs/processes/spawn.ts"
import type { Coherence } from "../../src/services/CxlMemory.ts"
import type { RegionLost } from "../../src/services/CxlMemory.ts"
import type { RegionError } from "../../src/services/schema/RegionError.ts"
import type { TopicError } from "../../src/services/schema/Topic.ts"
import type { HistoryUnreadable } from "../../src/services/Subscriber.ts"
import type { Fold } from "../harness/checksum.ts"
import * as Machine from "../machine/Machine.ts"
import * as PacedFiles from "../machine/PacedFiles.ts"
import * as PlainFiles from "../machine/PlainFiles.ts"
import { type BenchAck, type BenchOrder, BenchPublisher, BenchSubscriber, benchTopic } from "./jobs.ts"

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

export interface Scenario {
  readonly key: string
  readonly totalBytes: number
  readonly recordBytes: number
  readonly order: BenchOrder
  /** `durable`: each record is on the disks of two replicas, which are processes of their own. */
  readonly ack: BenchAck
  readonly brokers: number
  readonly laneBytes: number
  readonly batchBytes: number
  readonly sessions: number
  readonly fold: Fold
  readonly coherence: Coherence
  /** 0: as fast as the lanes have room. */
  readonly recordsPerSecond: number
  /** Of the open loop: records are offered at its rate for so long before they are measured. */
  readonly settlingSeconds?: number | undefined
  /** Another topic, to which another process offers so many records a second meanwhile. */
  readonly beside?: { readonly ack: BenchAck; readonly recordsPerSecond: number } | undefined
  /** Plain writers, as many as there would be replicas, to which so many bytes a second come in meanwhile. */
  readonly besideFiles?: number | undefined
  /** Bytes that each replica keeps, if not all. */
  readonly keepsBytes?: number | undefined
}

/** The log could not be measured. */
export type LogError =
  | DiskError
  | RegionError
  | RegionLost
  | TopicError
  | HistoryUnreadable
  | ChildError
  | RunStalled

/** The result of one measurement. Rates are decimal: of acknowledged bytes, or of delivered ones under order `none`. */
export interface Figure {
  readonly key: string
  readonly gigabytesPerSecond: number
  readonly recordsPerSecond: number
  /** The reader's sum equals the writer's, and no batch was out of order. */
  readonly agrees: boolean
  readonly log: LogFigure | undefined
  /** Of plain writers at a given rate: from the moment in which a byte came in until each file had it on the disk. */
  readonly pacedMicros?: Percentiles | undefined
  /** How long a sync of one group took: of plain files, or of the replicas meanwhile. */
  readonly syncMicros?: Percentiles | undefined
  /** Of replicas: bytes of records that they synced at once, on average. */
  readonly groupBytes?: number | undefined
  /** Of plain writers, or of replicas: the cores that they used together. */
  readonly writerCores?: number | undefined
}

export interface LogFigure {
  readonly deliveredGigabytesPerSecond: number
  readonly cores: { readonly publisher: number; readonly subscriber: number; readonly serve: number }
  readonly sums: { readonly published: string; readonly seen: string }
  readonly latencyMicros: Percentiles
  /** In the open loop: how late the publisher offered what was due, which is in the latency. */
  readonly latenessMicros: Percentiles | undefined
  readonly heapBytesPerRecord: number
  readonly laneFullEvents: number
  /** The longest time from a batch's sealing to its delivery, of each second. */
  readonly lagMillis: ReadonlyArray<number>
}

export const warmupBytes = 64 * mebibyte

/** The main configuration; each other one changes one setting. */
export const mainScenario = (totalBytes: number): Scenario => ({
  key: "log",
  totalBytes,
  recordBytes: kibibyte,
  order: "session",
  ack: "ordered",
  brokers: 4,
  laneBytes: defaultGeometry.laneBytes,
  batchBytes: defaultGeometry.batchBytes,
  sessions: 1,
  fold: "native",
  coherence: "coherent",
  recordsPerSecond: 0
})

/**
 * The machine's own limit: one thread copies blocks of the record's size into as much memory as a session's lanes have,
 * and signals another thread after each (or every `publishEveryBytes`), which reads them. It takes a fraction of a
 * second, so it reports the median of a few runs.
 */
export const copyLimit = Effect.fnUntraced(function*(key: string, scenario: Scenario, publishEveryBytes?: number) {
  const { coherence, recordBytes: blockBytes, totalBytes } = scenario
  const ringBytes = scenario.brokers * scenario.laneBytes
  const copies: Array<Machine.CopyLimit> = []
  for (let i = 0; i < copiesMeasured; i += 1) {
    copies.push(yield* Machine.copyLimit({ totalBytes, ringBytes, blockBytes, publishEveryBytes, coherence }))
  }
  const bytesPerSecond = copies.map(({ bytes, seconds }) => bytes / seconds).toSorted((a, b) => a - b)
  const median = bytesPerSecond[copiesMeasured >> 1] ?? 0
  const figure: Figure = {
    key,
    gigabytesPerSecond: median / 1e9,
    recordsPerSecond: median / blockBytes,
    agrees: copies.every(({ agree }) => agree),
    log: undefined
  }
  return figure
})

export const logFigure = Effect.fnUntraced(function*(
  scenario: Scenario
): Effect.fn.Return<Figure, LogError, ChildProcessSpawner | Scope.Scope> {
  const { ack, order, recordBytes, sessions } = scenario
  const beside = scenario.beside === undefined ? [] : [besideOf(scenario, scenario.beside)]
  const isDurable = [scenario, ...beside].some(({ ack }) => ack === "durable")
  const { keepsBytes, recordsPerSecond, settlingSeconds = 0 } = scenario
  const settlingRecords = Math.floor(recordsPerSecond * settlingSeconds)
  const folders = isDurable
    ? yield* benchFolders(
      replicaCount,
      Math.min(scenario.totalBytes + settlingRecords * recordBytes, keepsBytes ?? Infinity)
    )
    : undefined
  const { besideFiles } = scenario
  const paced = besideFiles === undefined
    ? undefined
    : yield* pacedWriters(
      besideFiles,
      scenario.totalBytes / recordBytes / recordsPerSecond + besideSeconds,
      settlingSeconds
    )
  const region = yield* planRegion(`bench-${process.pid}`, {
    brokers: scenario.brokers,
    clients: sessions + beside.length,
    readers: 1 + beside.length + replicaCount,
    topics: 1 + beside.length,
    laneBytes: scenario.laneBytes,
    batchBytes: scenario.batchBytes
  })
  const perSession = (bytes: number) => Math.floor(bytes / recordBytes / sessions) * sessions
  const records = perSession(scenario.totalBytes)
  const warmupRecords = perSession(warmupBytes) + settlingRecords
  const common = { region: region.name, order, ack, warmupRecords, records }
  const outcome = yield* LogRun.run({
    label: undefined,
    region,
    coherence: scenario.coherence,
    serve: { topics: [scenario, ...beside].map(benchTopic) },
    records: warmupRecords + records,
    publisher: BenchPublisher,
    publishers: [
      {
        ...common,
        name: "publisher",
        recordBytes,
        sessions,
        recordsPerSecond,
        settlingRecords,
        tickMillis: tickMillisOf(ack)
      },
      ...beside.map((job) => ({ ...job, region: region.name, name: "publisher-beside" }))
    ],
    subscriber: BenchSubscriber,
    subscribers: [
      { ...common, name: "subscriber", fold: scenario.fold },
      ...beside.map((job) => ({ ...job, region: region.name, name: "subscriber-beside", fold: scenario.fold }))
    ],
    replicas: folders && replicaJobs(region.name, folders.dirs, keepsBytes),
    beginning: folders?.beginning ?? paced?.begin
  })
  const figure = figureOf(scenario, records, outcome)
  return paced === undefined ? figure : { ...figure, ...pacedFigure(yield* paced.written) }
}, Effect.scoped)

/**
 * The machine's own limit for durable records: as many plain writers as there are replicas append as many bytes to files of
 * the same device, in groups as large as those that a replica syncs at the latest, and sync each group.
 */
export const plainFiles = Effect.fnUntraced(function*(key: string, { recordBytes, totalBytes }: Scenario) {
  const { beginning, dirs } = yield* benchFolders(replicaCount, totalBytes)
  const { cores, seconds, syncMicros } = yield* PlainFiles.write({
    beginning,
    dirs,
    totalBytes,
    warmupBytes,
    groupBytes: defaultSyncBytes
  })
  const figure: Figure = {
    key,
    gigabytesPerSecond: totalBytes / 1e9 / seconds,
    recordsPerSecond: totalBytes / recordBytes / seconds,
    agrees: true,
    log: undefined,
    syncMicros,
    writerCores: cores
  }
  return figure
}, Effect.scoped)

/**
 * The same at the rate of a log that is offered less than it can carry: what comes in during an interval is written and synced,
 * as a replica does.
 */
export const pacedFiles = Effect.fnUntraced(function*(key: string, scenario: Scenario, seconds: number) {
  const bytesPerSecond = scenario.recordsPerSecond * scenario.recordBytes
  const { begin, written } = yield* pacedWriters(bytesPerSecond, seconds, scenario.settlingSeconds)
  yield* begin
  const figure: Figure = {
    key,
    gigabytesPerSecond: bytesPerSecond / 1e9,
    recordsPerSecond: scenario.recordsPerSecond,
    agrees: true,
    log: undefined,
    ...pacedFigure(yield* written)
  }
  return figure
}, Effect.scoped)

// --- internal ---

const pacedFigure = ({ cores, latencyMicros, syncMicros }: PacedFiles.PacedFilesWritten) => ({
  pacedMicros: latencyMicros,
  syncMicros,
  writerCores: cores
})

const copiesMeasured = 3
const replicaCount = 2

/** They are ready, and write once they are begun. */
const pacedWriters = Effect.fnUntraced(function*(bytesPerSecond: number, seconds: number, settlingSeconds = 0) {
  const { beginning, dirs } = yield* benchFolders(replicaCount, bytesPerSecond * (settlingSeconds + seconds))
  const options = { dirs, bytesPerSecond, settlingSeconds, seconds, intervalMillis: defaultSyncMillis, warmupBytes }
  const { begin, written } = yield* PacedFiles.start(options)
  return { begin: Effect.andThen(beginning, begin), written }
})

/** Folders for files of so many bytes each, and what gives these memory that is warm, just before they are written. */
export const benchFolders = (count: number, bytes: number) =>
  Effect.gen(function*() {
    const folder = yield* PlainFiles.folder
    const beginning = yield* PlainFiles.warmPages(folder, count * (bytes + 2 * warmupBytes))
    return { dirs: Array.from({ length: count }, (_, i) => join(folder, `replica-${i}`)), beginning }
  })

export const replicaJobs = (
  region: string,
  dirs: ReadonlyArray<string>,
  keepsBytes?: number | undefined
): ReadonlyArray<ReplicaJob> =>
  dirs.map((dir, i) => ({
    ...(keepsBytes === undefined ? {} : { keepsBytes }),
    region,
    name: `replica-${i}`,
    dir,
    peers: dirs.filter((other) => other !== dir),
    durableCopies: dirs.length,
    syncBytes: defaultSyncBytes,
    timesSyncs: true
  }))

/** Longer than what it is beside, and with hardly a warm-up, which is at full speed. */
const besideOf = (
  { recordBytes, recordsPerSecond, totalBytes }: Scenario,
  beside: NonNullable<Scenario["beside"]>
) => ({
  order: "session" as const,
  ack: beside.ack,
  isBeside: true,
  recordBytes,
  sessions: 1,
  warmupRecords: 1024,
  records: Math.ceil(beside.recordsPerSecond * (totalBytes / recordBytes / recordsPerSecond + besideSeconds)),
  recordsPerSecond: beside.recordsPerSecond,
  // The same for both kinds, so that they differ by their ack alone.
  tickMillis: tickMillisOf("durable")
})

/** What waits for a disk anyway need not be offered several times a millisecond, which takes half a core. */
const tickMillisOf = (ack: BenchAck): number => ack === "durable" ? 1 : 0.25

const besideSeconds = 1

type Outcome = LogRun.LogOutcome<typeof BenchPublisher.result.Type, typeof BenchSubscriber.result.Type>

const figureOf = ({ key, order, recordBytes }: Scenario, records: number, outcome: Outcome): Figure => {
  const [{ result: published }] = outcome.publishers as readonly [Outcome["publishers"][number]]
  const [{ result: seen }] = outcome.subscribers as readonly [Outcome["subscribers"][number]]
  const deliveredSeconds = (seen.lastMillis - published.firstOfferMillis) / 1000
  const acknowledgedSeconds = (published.lastAckMillis - published.firstOfferMillis) / 1000
  const seconds = order === "none" ? deliveredSeconds : acknowledgedSeconds
  const isAcknowledged = order === "none" || published.acknowledged === seen.records
  // Only order `session` keeps the batches of one session in order.
  const inOrder = order !== "session" || seen.disordered === 0
  return {
    key,
    gigabytesPerSecond: records * recordBytes / 1e9 / seconds,
    recordsPerSecond: records / seconds,
    agrees: published.sum === seen.sum && isAcknowledged && inOrder,
    ...syncsOf(outcome, published),
    log: {
      deliveredGigabytesPerSecond: records * recordBytes / 1e9 / deliveredSeconds,
      cores: { publisher: published.cores, subscriber: seen.cores, serve: outcome.serverCores },
      sums: { published: published.sum, seen: seen.sum },
      latencyMicros: Histogram.merged([published.latency]).percentiles(),
      latenessMicros: published.lateness === undefined
        ? undefined
        : Histogram.merged([published.lateness]).percentiles(),
      heapBytesPerRecord: published.heapBytesPerRecord,
      laneFullEvents: published.fullEvents,
      lagMillis: seen.lagMillis
    }
  }
}

/** Of the syncs between the first offer and the last acknowledgement. */
const syncsOf = (
  { replicas }: Outcome,
  { firstOfferMillis, lastAckMillis }: Outcome["publishers"][number]["result"]
) => {
  if (replicas.length === 0) return {}
  const histogram = Histogram.make()
  let writerCores = 0
  for (const { result } of replicas) {
    const within = result.syncTimes.filter(({ endedMillis, micros }) =>
      endedMillis - micros / 1000 >= firstOfferMillis && endedMillis <= lastAckMillis
    )
    for (const { micros } of within) histogram.record(micros)
    writerCores += coresOf(within)
  }
  const syncs = replicas.reduce((sum, { result }) => sum + result.syncs, 0)
  const bytes = replicas.reduce((sum, { result }) => sum + result.syncedBytes, 0)
  return { syncMicros: histogram.percentiles(), groupBytes: bytes / Math.max(1, syncs), writerCores }
}

const coresOf = (syncs: ReadonlyArray<SyncTime>): number => {
  const [first, last] = [syncs[0], syncs.at(-1)]
  if (first === undefined || last === undefined || first === last) return 0
  return (last.processorMicros - first.processorMicros) / 1000 / (last.endedMillis - first.endedMillis)
}
