/**
 * What the report shows, by chart: the keys of its figures, and the measurements that make them.
 */
import * as Effect from "effect/Effect"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type * as Scope from "effect/Scope"
import { formatBytes } from "../../src/programs/cli/units.ts"
import { type Comparison, type Figure, figure, latencyFigure } from "../harness/comparison.ts"
import { growthAxes, type GrowthAxis, growthFigure, growthKey, growthSizes } from "../log/growth.ts"
import { type Figure as LogFigure, type LogError, logFigure, mainScenario } from "../log/scenarios.ts"
import * as Ring from "../ring/scenarios.ts"
import type { Rival } from "../rivals/jobs.ts"
import { asleepRivals, rivalFigure, rivalTitles, streamRivalFigure, streamRivalKey } from "../rivals/scenarios.ts"

export type ReportError = LogError | Ring.MeasureError

export interface Sizes {
  /** Carried by the log, a ring or a copy in each measurement of throughput; rivals carry an eighth of it. */
  readonly totalBytes: number
  readonly trips: number
}

/** Of the messages. */
export const messageSizes = [64, 256, 1024, 4096, 16_384, 65_536] as const

/** The rivals of the chart over message sizes, by how they are fastest. */
export const streamRivals = [
  ["messagePort", "packed by 64 KiB"],
  ["ipcAdvanced", "packed by 64 KiB"],
  ["unixSocket", "packed by 64 KiB"],
  ["zeromq", "packed by 64 KiB"],
  ["ringbuf", "one by one"]
] as const

export const sizeKeys = {
  copy: (bytes: number) => `copy limit, ${formatBytes(bytes)}`,
  log: (bytes: number) => `log, ${formatBytes(bytes)}`,
  ring: (bytes: number) => `ring, ${formatBytes(bytes)}`,
  rival: ([rival, packing]: typeof streamRivals[number], bytes: number) => streamRivalKey(rival, packing, bytes)
}

/** The loads at which acknowledgements are timed, as shares of full speed. */
export const loads = [0.1, 0.5] as const

export const latencyKeys = {
  ring: "ring, park",
  top: "log, full speed",
  load: (load: number) => `acknowledgement, at ${100 * load} % of full speed`,
  rival: (rival: Rival) => rivalTitles[rival]
}

/** The rivals of the latency chart. */
export const tripRivals = asleepRivals

/** By the names of the comparisons. */
export const groups = {
  size: (bytes: number) => `messages of ${formatBytes(bytes)}`,
  trips: "round trips, asleep",
  acknowledgements: "acknowledgements",
  growth: (axis: GrowthAxis) => `growth: ${axis}`
}

type Measuring = Effect.Effect<ReadonlyArray<Figure>, ReportError, ChildProcessSpawner>

/** Charts that can be measured on their own. */
export const chartNames = ["sizes", "latency", "growth"] as const
export type ChartName = typeof chartNames[number]

/** The measurements of one chart, or of all. */
export const comparisons = (
  sizes: Sizes,
  only?: ChartName
): ReadonlyArray<Comparison<ReportError, ChildProcessSpawner>> =>
  chartNames.filter((name) => only === undefined || name === only).flatMap((name) => ofChart(name, sizes))

// --- internal ---

const ofChart = (name: ChartName, sizes: Sizes): ReadonlyArray<Comparison<ReportError, ChildProcessSpawner>> => {
  switch (name) {
    case "sizes":
      return messageSizes.map((bytes) => ({ name: groups.size(bytes), measurements: ofSize(bytes, sizes) }))
    case "latency":
      return [
        {
          name: groups.trips,
          measurements: [
            Ring.tripsFigure(latencyKeys.ring, "park", sizes.trips),
            ...tripRivals.map((rival) => rivalFigure(rival, sizes.trips))
          ]
        },
        { name: groups.acknowledgements, measurements: [acknowledgements(sizes)] }
      ]
    case "growth":
      return growthAxes.map((axis) => ({
        name: groups.growth(axis),
        measurements: growthSizes[axis].map((size) =>
          ofLog(growthFigure(axis, size, { ...mainScenario(sizes.totalBytes), key: growthKey(axis, size) }))
        )
      }))
  }
}

/** Small messages would take much longer than large ones. */
const messagesMax = 2_000_000
const rivalShare = 8
const latencySeconds = 1.5

const ofSize = (messageBytes: number, { totalBytes }: Sizes): ReadonlyArray<Measuring> => {
  const messages = Math.ceil(Math.min(totalBytes / messageBytes, messagesMax))
  const stream = { messageBytes, messages, readers: 1, batched: true }
  const log = { ...mainScenario(messages * messageBytes), key: sizeKeys.log(messageBytes), recordBytes: messageBytes }
  return [
    Ring.copyLimitFigure(sizeKeys.copy(messageBytes), stream),
    ofLog(logFigure(log)),
    Ring.streamFigure(sizeKeys.ring(messageBytes), stream),
    ...streamRivals.map(([rival, packing]) =>
      streamRivalFigure(rival, packing, messageBytes, Math.ceil(messages / rivalShare))
    )
  ]
}

const acknowledgements = ({ totalBytes }: Sizes): Measuring =>
  Effect.gen(function*() {
    const main = mainScenario(totalBytes)
    const top = yield* Effect.scoped(logFigure({ ...main, key: latencyKeys.top }))
    const paced = yield* Effect.forEach(loads, (load) => {
      const recordsPerSecond = load * top.recordsPerSecond
      const totalBytes = Math.ceil(recordsPerSecond * latencySeconds) * main.recordBytes
      return ofLog(logFigure({ ...main, key: latencyKeys.load(load), recordsPerSecond, totalBytes }))
    })
    return paced.flat()
  })

const ofLog = (
  measuring: Effect.Effect<LogFigure, LogError, ChildProcessSpawner | Scope.Scope>
): Measuring =>
  Effect.scoped(Effect.map(measuring, ({ agrees, gigabytesPerSecond, key, log, recordsPerSecond }) => {
    const cores = log === undefined
      ? {}
      : { publisherCores: log.cores.publisher, readerCores: log.cores.subscriber, serveCores: log.cores.serve }
    const rates = { messagesPerSecond: recordsPerSecond, gigabytesPerSecond, ...cores }
    if (log === undefined || log.latencyMicros.samples === 0) return [figure(key, rates, agrees)]
    const latency = latencyFigure(key, [log.latencyMicros.histogram], agrees)
    const late = log.latenessMicros === undefined ? {} : { lateP99Micros: log.latenessMicros.p99 }
    return [{ ...latency, values: { ...rates, ...latency.values, ...late } }]
  }))
