/**
 * Measures how the log grows: more brokers, publisher processes, readers or sessions, one of them at a time.
 *
 * The processes share the machine's cores, so more of them cannot always carry more. What the cores allow is computed from
 * the processor time that a record took each process in the smallest size: with that, no size can be faster than all cores
 * together, nor than the one thread of each process. A loss is what is missing of it, beyond what the smallest size misses.
 */
import * as Effect from "effect/Effect"
import { availableParallelism } from "node:os"
import { planRegion } from "../../src/programs/cli/region-plan.ts"
import * as LogRun from "../../src/programs/log-trial/run.ts"
import * as Histogram from "../../src/programs/measure/histogram.ts"
import { formatSum } from "../harness/content.ts"
import { BenchPublisher, BenchSubscriber, benchTopic } from "./jobs.ts"
import { type Figure, type Scenario, warmupBytes } from "./scenarios.ts"

/** By the name of the group, the sizes that are measured. */
export const growthSizes = {
  brokers: [1, 2, 4, 8, 16, 32],
  publishers: [1, 2, 4, 8],
  readers: [1, 2, 4, 16, 64],
  sessions: [1, 4, 16, 64, 256]
} as const
export type GrowthAxis = keyof typeof growthSizes
export const growthAxes = Object.keys(growthSizes) as ReadonlyArray<GrowthAxis>

export const growthKey = (axis: GrowthAxis, size: number): string => `${axis} ${size}`

export const growthFigure = Effect.fnUntraced(function*(axis: GrowthAxis, size: number, scenario: Scenario) {
  const sizeOf = (of: GrowthAxis, usual: number): number => of === axis ? size : usual
  const brokers = sizeOf("brokers", scenario.brokers)
  const [publishers, readers, sessions] = [sizeOf("publishers", 1), sizeOf("readers", 1), sizeOf("sessions", 1)]
  const { ack, coherence, fold, order, recordBytes } = scenario
  const clients = publishers * sessions
  const laneBytes = Math.min(scenario.laneBytes, 2 ** Math.floor(Math.log2(lanesBytesMax / brokers / clients)))
  const batchBytes = Math.min(scenario.batchBytes, laneBytes / batchesOfLane)
  const sizes = { brokers, clients, readers, topics: 1, laneBytes, batchBytes }
  const region = yield* planRegion(`bench-${process.pid}`, sizes)
  const ofEach = (bytes: number) => Math.floor(bytes / recordBytes / clients) * sessions
  // Round all lanes once: a process's first access to a page of shared memory costs more than the records in it.
  const lapBytes = brokers * clients * laneBytes
  const [records, warmupRecords] = [ofEach(scenario.totalBytes), ofEach(Math.max(warmupBytes, lapBytes))]
  const common = { region: region.name, order, ack }
  const all = { records: publishers * records, warmupRecords: publishers * warmupRecords }
  const readerProcesses = Math.min(readers, availableParallelism())
  const outcome = yield* LogRun.run({
    label: undefined,
    region,
    coherence,
    serve: { topics: [benchTopic(scenario)] },
    records: all.warmupRecords + all.records,
    publisher: BenchPublisher,
    publishers: Array.from({ length: publishers }, (_, i) => ({
      ...common,
      name: `publisher-${i}`,
      recordBytes,
      sessions,
      warmupRecords,
      records,
      recordsPerSecond: 0
    })),
    subscriber: BenchSubscriber,
    subscribers: Array.from({ length: readerProcesses }, (_, i) => ({
      ...common,
      ...all,
      name: `subscriber-${i}`,
      fold,
      readers: Math.ceil((readers - i) / readerProcesses)
    }))
  })
  return figureOf(axis, size, recordBytes, all.records, outcome)
}, Effect.scoped)

/** Of one size, with the processor time of all publishers, of all readers and of the serving process. */
export interface GrowthCost {
  readonly recordsPerSecond: number
  readonly cores: { readonly publisher: number; readonly subscriber: number; readonly serve: number }
}

/** The records a second that the cores allow in this size, by what each record took in the smallest one. */
export const allowedRate = (axis: GrowthAxis, size: number, smallest: GrowthCost, cores: number): number => {
  const bound = boundOf(axis, size, smallest, cores)
  return bound * smallest.recordsPerSecond / boundOf(axis, growthSizes[axis][0], smallest, cores)
}

// --- internal ---

/** Lanes of one size have as much memory in common at most: 256 sessions with whole lanes would take 8 GiB. */
const lanesBytesMax = 256 * 1024 * 1024
const batchesOfLane = 4

const boundOf = (axis: GrowthAxis, size: number, { cores: used, recordsPerSecond }: GrowthCost, cores: number) => {
  const [publishers, readers] = [axis === "publishers" ? size : 1, axis === "readers" ? size : 1]
  const publishing = used.publisher / recordsPerSecond
  const reading = used.subscriber / recordsPerSecond * readers
  const serving = used.serve / recordsPerSecond
  return Math.min(
    cores / (publishing + reading + serving),
    publishers / publishing,
    Math.min(readers, cores) / reading,
    1 / serving
  )
}

type Outcome = LogRun.LogOutcome<typeof BenchPublisher.result.Type, typeof BenchSubscriber.result.Type>

const figureOf = (
  axis: GrowthAxis,
  size: number,
  recordBytes: number,
  records: number,
  outcome: Outcome
): Figure => {
  const published = outcome.publishers.map(({ result }) => result)
  const seen = outcome.subscribers.map(({ result }) => result)
  const total = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0)
  const began = Math.min(...published.map(({ firstOfferMillis }) => firstOfferMillis))
  const acknowledgedSeconds = (Math.max(...published.map(({ lastAckMillis }) => lastAckMillis)) - began) / 1000
  const deliveredSeconds = (Math.max(...seen.map(({ lastMillis }) => lastMillis)) - began) / 1000
  // An acknowledgement does not wait for readers: theirs is the time until the last of them has all.
  const seconds = axis === "readers" ? deliveredSeconds : acknowledgedSeconds
  const sum = formatSum(published.reduce((sum, each) => sum + BigInt(`0x${each.sum}`), 0n))
  const acknowledged = total(published.map((each) => each.acknowledged))
  return {
    key: growthKey(axis, size),
    gigabytesPerSecond: records * recordBytes / 1e9 / seconds,
    recordsPerSecond: records / seconds,
    agrees: seen.every((each) => each.sum === sum && each.records === acknowledged && each.disordered === 0),
    log: {
      deliveredGigabytesPerSecond: records * recordBytes / 1e9 / deliveredSeconds,
      cores: {
        publisher: total(published.map(({ cores }) => cores)),
        subscriber: total(seen.map(({ cores }) => cores)),
        serve: outcome.serverCores
      },
      sums: { published: sum, seen: seen[0]?.sum ?? "" },
      latencyMicros: Histogram.merged(published.map(({ latency }) => latency)).percentiles(),
      latenessMicros: undefined,
      heapBytesPerRecord: published[0]?.heapBytesPerRecord ?? 0,
      laneFullEvents: total(published.map(({ fullEvents }) => fullEvents)),
      lagMillis: seen[0]?.lagMillis ?? []
    }
  }
}
