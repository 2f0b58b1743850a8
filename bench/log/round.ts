/**
 * Measures one round of the log benchmark: groups of comparable figures, each under one placement of the cores.
 */
import * as Effect from "effect/Effect"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { writeNotice } from "../../src/programs/cli/streams.ts"
import { formatMicros, formatRate } from "../../src/programs/cli/units.ts"
import { anyhow, type Measurement, type Placed, together } from "../machine/placement.ts"
import { growthAxes, growthFigure, growthSizes } from "./growth.ts"
import { historyFigures, historyKeys } from "./history.ts"
import type { BenchAck } from "./jobs.ts"
import {
  copyLimit,
  type Figure,
  type LogError,
  logFigure,
  mainScenario,
  pacedFiles,
  plainFiles,
  type Scenario
} from "./scenarios.ts"

export interface Group extends Placed<Figure> {
  readonly name: GroupName
}

export type Round = ReadonlyArray<Group>

/** Fractions of the top rate at which latency is measured. */
export const loads = [0.1, 0.5, 0.9] as const
export const smallBytes = 64

/** Keys of the reference figures. */
export const keys = {
  copyBefore: "copy, before",
  copyAfter: "copy, after",
  copyPacked: "copy, signalled every 64 KiB",
  log: "log",
  javaScriptFold: "log, summed in JavaScript",
  flushedCopyBefore: "copy, flushed, before",
  flushedCopyAfter: "copy, flushed, after",
  flushed: "log, flushed",
  total: "order total",
  session: "order session",
  none: "order none",
  plainBefore: "plain files, before",
  plainAfter: "plain files, after",
  durable: "log, durable",
  durableLoad: "log, durable, half the rate",
  plainLoad: "plain files, half the rate",
  plainLoadBeside: "plain files, half the rate, beside an ordered log",
  orderedAlone: "ordered, alone",
  orderedBeside: "ordered, beside durable",
  orderedBesideOrdered: "ordered, beside ordered",
  orderedBesideFiles: "ordered, beside plain files",
  ...historyKeys,
  steadyPeak: "log, durable, before the steady load",
  steady: "log, durable, 60 s",
  smallCopy: "copy, small",
  smallLog: "log, small",
  top: "top rate",
  load: (load: number) => `load ${Math.round(100 * load)} %`
} as const

/** Groups that can be measured on their own; all but the last are measured without `--only`. */
export const groupNames = [
  "limit",
  "flushed",
  "javascript",
  "order",
  "durable",
  "beside",
  "history",
  "small",
  ...growthAxes,
  "latency",
  "steady"
] as const
export type GroupName = typeof groupNames[number]

/** Those that are measured unless one is chosen: `steady` takes a minute and more. */
export const defaultGroups: ReadonlyArray<GroupName> = groupNames.filter((name) => name !== "steady")

/** Measures one round of these groups. */
export const measureRound = Effect.fnUntraced(function*(
  title: string,
  totalBytes: number,
  names: ReadonlyArray<GroupName>
) {
  const round: Array<Group> = []
  for (const name of names) {
    const group: Group = { name, ...(yield* placed(name, mainScenario(totalBytes))) }
    yield* writeNotice(`${title}: ${describeGroup(group)}`)
    round.push(group)
  }
  return round satisfies Round
})

// --- internal ---

type Measuring = Measurement<Figure, LogError, ChildProcessSpawner>

/** The disk bounds these, or how many processes share the cores, and not the way between the cores. */
const placed = (name: GroupName, main: Scenario) => {
  switch (name) {
    case "beside":
    case "durable":
    case "steady":
      return anyhow(measurementsOf(name, main))
    case "history":
      return Effect.map(
        anyhow([() => historyFigures({ ...main, totalBytes: main.totalBytes / 2 })]),
        (found) => ({ ...found, values: found.values.flat() })
      )
    default:
      return together(measurementsOf(name, main))
  }
}

const measurementsOf = (name: Exclude<GroupName, "history">, main: Scenario): ReadonlyArray<Measuring> => {
  const copy = (key: string, changes: Partial<Scenario> = {}): Measuring => () =>
    copyLimit(key, { ...main, ...changes })
  const packedCopy: Measuring = () => copyLimit(keys.copyPacked, main, 64 * 1024)
  const log = (key: string, changes: Partial<Scenario> = {}): Measuring => () => logFigure({ ...main, ...changes, key })
  switch (name) {
    case "limit":
      return [copy(keys.copyBefore), log(keys.log), copy(keys.copyAfter), packedCopy]
    // The copy signals its reader once a batch, as the log does.
    case "flushed": {
      const flushed = { ...main, coherence: "flushed" } as const
      const flushedCopy = (key: string): Measuring => () => copyLimit(key, flushed, main.batchBytes)
      return [flushedCopy(keys.flushedCopyBefore), log(keys.flushed, flushed), flushedCopy(keys.flushedCopyAfter)]
    }
    case "javascript":
      return [log(keys.javaScriptFold, { fold: "javascript" })]
    // Measure each twice, in mirrored order, so that a drift affects them alike.
    case "order": {
      const total = log(keys.total, { order: "total" })
      const session = log(keys.session)
      const none = log(keys.none, { order: "none" })
      return [total, session, none, none, session, total]
    }
    // Two replicas in processes of their own, beside as many plain writers.
    case "durable": {
      const durable = { ...main, ack: "durable", totalBytes: main.totalBytes / 4 } as const
      const plain = (key: string): Measuring => () => plainFiles(key, durable)
      const half = openLoop(durable, 0.5, keys.durable, keys.durableLoad, durableSeconds)
      const plainHalf: Measuring = (before) =>
        pacedFiles(
          keys.plainLoad,
          { ...durable, recordsPerSecond: rateOf(before, keys.durable) / 2, settlingSeconds },
          durableSeconds
        )
      // The work of such a log but that of its replicas, beside which plain writers have to keep their bound.
      const plainBeside: Measuring = (before) => {
        const recordsPerSecond = rateOf(before, keys.durable) / 2
        const besideFiles = recordsPerSecond * main.recordBytes
        const ordered = { ...main, ack: "ordered", besideFiles } as const
        return openLoop(ordered, 0.5, keys.durable, keys.plainLoadBeside, durableSeconds)(before)
      }
      return [plain(keys.plainBefore), log(keys.durable, durable), plain(keys.plainAfter), half, plainHalf, plainBeside]
    }
    // Each twice, in mirrored order. The rates are far below what two cores can do.
    case "beside": {
      const recordsPerSecond = besideRates.ordered
      const load = { recordsPerSecond, totalBytes: recordsPerSecond * besideSeconds * main.recordBytes }
      const alone = log(keys.orderedAlone, load)
      const beside = (key: string, ack: BenchAck) =>
        log(key, { ...load, beside: { ack, recordsPerSecond: besideRates.beside } })
      const [durable, ordered] = [beside(keys.orderedBeside, "durable"), beside(keys.orderedBesideOrdered, "ordered")]
      // What the replicas' writing alone takes from the others, without the replicas.
      const files = log(keys.orderedBesideFiles, {
        ...load,
        beside: { ack: "ordered", recordsPerSecond: besideRates.beside },
        besideFiles: besideRates.beside * main.recordBytes
      })
      return [alone, ordered, files, durable, durable, files, ordered, alone]
    }
    case "steady": {
      const durable = { ...main, ack: "durable", totalBytes: main.totalBytes / 2, keepsBytes: steadyKeeps } as const
      return [
        log(keys.steadyPeak, durable),
        openLoop(durable, steadyLoad, keys.steadyPeak, keys.steady, steadySeconds)
      ]
    }
    case "small": {
      const small = { recordBytes: smallBytes, totalBytes: main.totalBytes / 4 }
      return [copy(keys.smallCopy, small), log(keys.smallLog, small)]
    }
    // A quarter of the bytes: every reader reads all of them.
    case "brokers":
    case "publishers":
    case "readers":
    case "sessions": {
      const quarter = { ...main, totalBytes: main.totalBytes / 4 }
      return growthSizes[name].map((size) => () => growthFigure(name, size, quarter))
    }
    case "latency":
      return [log(keys.top), ...loads.map((load) => openLoop(main, load, keys.top, keys.load(load)))]
  }
}

/** How long records are offered at a given rate, once all processes have settled: in the first second compilers take the cores. */
const settlingSeconds = 1
const latencySeconds = 1.5
const durableSeconds = 5
const besideSeconds = 2
const steadySeconds = 60

/** Records a second of the topic that is measured, and of the one beside it. */
const besideRates = { ordered: 100_000, beside: 20_000 } as const

/** Of the peak rate. */
export const steadyLoad = 0.9

/** Bytes that the replicas keep meanwhile, so that a minute fits on the disk. */
const steadyKeeps = 1024 * 1024 * 1024

/** At that part of the rate that was measured under the key `top`. */
const openLoop = (
  main: Scenario,
  load: number,
  top: string,
  key: string,
  seconds = latencySeconds
): Measuring =>
(before) => {
  const recordsPerSecond = load * rateOf(before, top)
  const totalBytes = Math.ceil(recordsPerSecond * seconds) * main.recordBytes
  return logFigure({ ...main, key, recordsPerSecond, totalBytes, settlingSeconds })
}

const rateOf = (before: ReadonlyArray<Figure>, top: string): number =>
  before.find((figure) => figure.key === top)?.recordsPerSecond ?? 0

const describeFigure = ({ gigabytesPerSecond, key, log }: Figure): string => {
  const latency = log === undefined || log.latencyMicros.samples === 0
    ? ""
    : ` p50 ${formatMicros(log.latencyMicros.p50)}`
  return `${key} ${formatRate(gigabytesPerSecond)}${latency}`
}

const describeGroup = ({ attempts, placement, values }: Group): string => {
  const again = attempts === 1 ? "" : `, attempt ${attempts}`
  return `${values.map(describeFigure).join(", ")} (${placement}${again})`
}
