/**
 * The report of the log benchmark: the machine, the figures, and both as text.
 */
import { defaultSyncMillis } from "../../src/layers/files/replica/replicaOptions.ts"
import { formatBytes, formatCount, formatMicros, plural } from "../../src/programs/cli/units.ts"
import { describeEnvironment, type Environment, environment } from "../../src/programs/measure/environment.ts"
import { ranged, type Spread } from "../../src/programs/measure/spread.ts"
import { contentSeed } from "../harness/content.ts"
import { allowedRate, growthAxes, type GrowthAxis, growthKey, growthSizes } from "./growth.ts"
import { keys, loads, type Round, smallBytes, steadyLoad } from "./round.ts"
import { mainScenario, warmupBytes } from "./scenarios.ts"
import { type FigureSummary, type LogSummary, summarize, type Summary } from "./summary.ts"

/**
 * Embarcadero, built from its sources and run on a machine of this kind: 4 brokers, emulated CXL memory, order 5,
 * acknowledgement 1, one client, 1 GiB of 1 KiB messages until all are acknowledged. Median; decimal gigabytes a
 * second.
 */
export const embarcaderoGigabytesPerSecond = 0.65

export interface BenchReport {
  readonly program: "bench log"
  readonly environment: Environment
  readonly settings: Readonly<Record<string, number | string>>
  readonly rounds: ReadonlyArray<Round>
  readonly summary: ReadonlyArray<Summary>
  /** Figures whose two sums differ, or whose order was wrong. */
  readonly disagreeing: ReadonlyArray<string>
  /** Groups in which the placement changed in every attempt; they are in no summary. */
  readonly discarded: number
}

export const report = (totalBytes: number, rounds: ReadonlyArray<Round>): BenchReport => {
  const figures = rounds.flat().flatMap(({ values }) => values)
  const { batchBytes, brokers, laneBytes, recordBytes } = mainScenario(totalBytes)
  return {
    program: "bench log",
    environment: environment(),
    settings: {
      totalBytes,
      warmupBytes,
      recordBytes,
      brokers,
      laneBytes,
      batchBytes,
      order: "session",
      ack: "ordered",
      contentSeed
    },
    rounds,
    summary: summarize(rounds),
    disagreeing: figures.filter(({ agrees }) => !agrees).map(({ key }) => key),
    discarded: rounds.flat().filter(({ placement }) => placement === "flipped").length
  }
}

/** The report as text. */
export const describe = (report: BenchReport): string => {
  const { settings } = report
  const sums = report.rounds.flat().flatMap(({ values }) => values).flatMap(({ log }) => log?.sums ?? [])
  return [
    "",
    describeEnvironment(report.environment),
    `${formatBytes(Number(settings["totalBytes"]))} a measurement after ${formatBytes(warmupBytes)} of warm-up; `
    + `lanes of ${formatBytes(Number(settings["laneBytes"]))}, batches of ${
      formatBytes(Number(settings["batchBytes"]))
    }`,
    ...report.summary.flatMap(summaryLines),
    "",
    ...(report.discarded === 0
      ? []
      : [`${plural(report.discarded, "group")} discarded: the placement of the cores changed in every attempt`]),
    report.disagreeing.length === 0
      ? `sums: ${plural(sums.length, "pair")} equal, the first ${sums[0]?.published ?? "-"} = ${sums[0]?.seen ?? "-"}`
      : `sums: NOT EQUAL in ${report.disagreeing.join(", ")}`
  ].join("\n")
}

// --- internal ---

const nameLength = 34

const row = (name: string, text: string): string => `  ${name.padEnd(nameLength)} ${text}`

const decimals = (digits: number) => (value: number): string => value.toFixed(digits)

/** Of publisher, subscriber and serving process. */
const coresOf = ({ publisherCores, serveCores, subscriberCores }: LogSummary): string =>
  [publisherCores, subscriberCores, serveCores].map(({ median }) => median.toFixed(2)).join(" + ")

const rateRow = (name: string, figure: FigureSummary | undefined): ReadonlyArray<string> => {
  if (figure === undefined) return []
  const rate = `${ranged(figure.gigabytesPerSecond, decimals(2))} GB/s`
  const messages = `${ranged({ ...figure.recordsPerSecond, runs: 1 }, (value) => decimals(2)(value / 1e6))} M/s`
  const writers = figure.writerCores === undefined ? "" : `  writers' cores ${figure.writerCores.median.toFixed(2)}`
  if (figure.log === undefined) return [row(name, `${rate}  ${messages}${writers}`)]
  const delivered = figure.log.deliveredGigabytesPerSecond.median.toFixed(2)
  return [row(name, `${rate}  ${messages}  delivered ${delivered}  cores ${coresOf(figure.log)}${writers}`)]
}

const ratioRow = (name: string, ratio: Spread | undefined, goal: string): ReadonlyArray<string> =>
  ratio === undefined ? [] : [row(name, `${ranged(ratio, decimals(3))}  (${goal})`)]

/** Cores of the machine, as the figures' processes saw them. */
const { cores: machineCores } = environment()

/** The loss against what the cores allow. Negative: more than they allow by the smallest size. */
export const lossOf = (
  axis: GrowthAxis,
  size: number,
  at: (key: string) => FigureSummary | undefined
): number | undefined => {
  const [figure, smallest] = [at(growthKey(axis, size)), at(growthKey(axis, growthSizes[axis][0]))]
  if (figure === undefined || smallest?.log === undefined) return undefined
  const { publisherCores, serveCores, subscriberCores } = smallest.log
  const cost = {
    recordsPerSecond: smallest.recordsPerSecond.median,
    cores: { publisher: publisherCores.median, subscriber: subscriberCores.median, serve: serveCores.median }
  }
  return 1 - figure.recordsPerSecond.median / allowedRate(axis, size, cost, machineCores)
}

const growthTitles: Readonly<Record<GrowthAxis, (count: number) => string>> = {
  brokers: (count) => plural(count, "broker"),
  publishers: (count) => plural(count, "publisher process", "publisher processes"),
  readers: (count) => plural(count, "reader"),
  sessions: (count) => `${plural(count, "session")}, one process`
}

const growthRows = (
  axis: GrowthAxis,
  size: number,
  at: (key: string) => FigureSummary | undefined
): ReadonlyArray<string> => {
  const loss = lossOf(axis, size, at)
  const [row = ""] = rateRow(growthTitles[axis](size), at(growthKey(axis, size)))
  return loss === undefined ? [] : [`${row}  loss ${(100 * loss).toFixed(0)} % (goal: 10)`]
}

const latencyRow = (load: number, figure: FigureSummary | undefined): ReadonlyArray<string> => {
  if (figure?.log === undefined) return []
  const { p50, p99, p999 } = figure.log.latencyMicros
  const rate = `at ${formatCount(Math.round(figure.recordsPerSecond.median / 1000))} k/s`
  const percentiles = `p50 ${ranged(p50, formatMicros)}  p99 ${ranged(p99, formatMicros)}  p99.9 ${
    ranged(p999, formatMicros)
  }`
  const late = figure.log.latenessMicros
  return [
    row(`ack latency, ${keys.load(load)} ${rate}`, percentiles),
    ...late === undefined
      ? []
      : [
        row("  of which offered late", `p50 ${ranged(late.p50, formatMicros)}  p99 ${ranged(late.p99, formatMicros)}`)
      ],
    row("  cores", coresOf(figure.log))
  ]
}

const syncRow = (name: string, figure: FigureSummary | undefined): ReadonlyArray<string> =>
  figure?.syncMicros === undefined ? [] : [row(name, ranged(figure.syncMicros, formatMicros))]

const groupRow = (name: string, figure: FigureSummary | undefined): ReadonlyArray<string> =>
  figure?.groupBytes === undefined
    ? []
    : [row(name, ranged(figure.groupBytes, (bytes) => formatBytes(Math.round(bytes))))]

const ackRow = (name: string, figure: FigureSummary | undefined): ReadonlyArray<string> =>
  percentileRow(name, figure?.log?.latencyMicros)

const percentileRow = (name: string, latency: FigureSummary["pacedMicros"]): ReadonlyArray<string> => {
  if (latency === undefined) return []
  const { p50, p99 } = latency
  return [row(name, `p50 ${ranged(p50, formatMicros)}  p99 ${ranged(p99, formatMicros)}`)]
}

const durableRows = (summary: Summary): ReadonlyArray<string> => {
  const at = (key: string): FigureSummary | undefined => summary.figures[key]
  return [
    ...rateRow("plain writers of two files, before", at(keys.plainBefore)),
    ...rateRow("log, durable on two replicas", at(keys.durable)),
    ...rateRow("plain writers of two files, after", at(keys.plainAfter)),
    ...ratioRow("durable / plain writers", summary.ofPlainFiles, "goal: 0.8"),
    ...groupRow("bytes that a replica syncs at once", at(keys.durable)),
    ...syncRow("p99 of a sync of plain files, after", at(keys.plainAfter)),
    ...ackRow("durable latency at half the rate", at(keys.durableLoad)),
    ...syncRow("p99 of a replica's sync meanwhile", at(keys.durableLoad)),
    ...ratioRow(`p99 / (${formatMicros(defaultSyncMillis * 1000)} + 2 such syncs)`, summary.durableOfBound, "goal: 1"),
    ...percentileRow("plain writers at that rate", at(keys.plainLoad)?.pacedMicros),
    ...syncRow("p99 of their syncs", at(keys.plainLoad)),
    ...ratioRow("their p99 / its bound", summary.plainOfBound, "for comparison"),
    ...percentileRow("the same beside an ordered log", at(keys.plainLoadBeside)?.pacedMicros),
    ...syncRow("p99 of their syncs", at(keys.plainLoadBeside)),
    ...ratioRow("their p99 / its bound", summary.plainBesideOfBound, "for comparison"),
    ...ratioRow("p99, log / plain writers", summary.durableOfPaced, "for comparison"),
    ...ackRow("ordered alone, latency", at(keys.orderedAlone)),
    ...ackRow("ordered beside ordered, latency", at(keys.orderedBesideOrdered)),
    ...ackRow("ordered beside files, latency", at(keys.orderedBesideFiles)),
    ...ackRow("ordered beside durable, latency", at(keys.orderedBeside)),
    ...ratioRow("p50 beside durable / alone", summary.besideOfAlone, "goal: 1.05"),
    ...ratioRow("p50 beside durable / beside ordered", summary.besideOfOrdered, "for comparison"),
    ...ratioRow("p50 beside durable / beside files", summary.besideOfFiles, "for comparison"),
    ...rateRow("plain reader, cold", at(keys.plainCold)),
    ...rateRow("history, cold", at(keys.cold)),
    ...ratioRow("history / plain reader, cold", summary.historyOfPlain.cold, "goal: 0.7"),
    ...rateRow("plain reader, warm", at(keys.plainWarm)),
    ...rateRow("history, warm", at(keys.warm)),
    ...ratioRow("history / plain reader, warm", summary.historyOfPlain.warm, "goal: 0.7"),
    ...rateRow("log, durable, peak", at(keys.steadyPeak)),
    ...rateRow(`log, durable, 60 s at ${Math.round(100 * steadyLoad)} %`, at(keys.steady)),
    ...(at(keys.steady)?.log?.lagMillis ?? []).map((lag, third) =>
      row(`longest delivery lag, third ${third + 1}`, ranged(lag, (millis) => formatMicros(1000 * millis)))
    ),
    ...ackRow("durable latency meanwhile", at(keys.steady))
  ]
}

const summaryLines = (summary: Summary): ReadonlyArray<string> => {
  const at = (key: string): FigureSummary | undefined => summary.figures[key]
  const log = at(keys.log)
  const times = log === undefined ? undefined : log.gigabytesPerSecond.median / embarcaderoGigabytesPerSecond
  const heap = log?.log?.heapBytesPerRecord
  return [
    "",
    `cores placed ${summary.placement}${
      summary.placement === "any" ? " (the disk bounds these)" : ""
    }; acknowledged rates, cores used by publisher + subscriber + serve`,
    ...rateRow("copy limit before, 1 KiB blocks", at(keys.copyBefore)),
    ...rateRow("log, 1 KiB, session, 4 brokers", log),
    ...rateRow("copy limit after", at(keys.copyAfter)),
    ...rateRow("copy, reader signalled every 64 KiB", at(keys.copyPacked)),
    ...ratioRow("log / copy limit", summary.ofCopyLimit, "goal: 0.4"),
    ...ratioRow("log / copy signalled every 64 KiB", summary.ofPackedCopy, "for comparison"),
    ...(times === undefined ? [] : [row("log / Embarcadero's 0.65 GB/s", `${times.toFixed(1)}  (goal: 5)`)]),
    ...(heap === undefined ? [] : [row("JavaScript heap a message", `${ranged(heap, decimals(1))} bytes`)]),
    ...rateRow("copy over flushed memory, before", at(keys.flushedCopyBefore)),
    ...rateRow("log over flushed memory", at(keys.flushed)),
    ...rateRow("copy over flushed memory, after", at(keys.flushedCopyAfter)),
    ...ratioRow("log / copy, flushed", summary.ofFlushedCopy, "goal: 0.5"),
    ...rateRow("log, summed in JavaScript", at(keys.javaScriptFold)),
    ...rateRow("order total", at(keys.total)),
    ...rateRow("order session", at(keys.session)),
    ...rateRow("order none, delivered", at(keys.none)),
    ...ratioRow("order session / order total", summary.sessionOfTotal, "goal: above 0.9"),
    ...ratioRow("order none / order session, delivered", summary.noneOfSession, "for comparison"),
    ...durableRows(summary),
    ...rateRow(`copy limit, ${smallBytes} B blocks`, at(keys.smallCopy)),
    ...rateRow(`log, ${smallBytes} B messages`, at(keys.smallLog)),
    ...ratioRow("log / copy limit, small", summary.smallOfCopyLimit, "no goal"),
    ...growthAxes.flatMap((axis) => growthSizes[axis].flatMap((size) => growthRows(axis, size, at))),
    ...loads.flatMap((load) => latencyRow(load, at(keys.load(load))))
  ]
}
