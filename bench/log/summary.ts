/**
 * Computes medians and ranges over the rounds of a benchmark, separately for each placement.
 */
import { defaultSyncMillis } from "../../src/layers/files/replica/replicaOptions.ts"
import type { Percentiles } from "../../src/programs/measure/latency.ts"
import { type Spread, spreadOf } from "../../src/programs/measure/spread.ts"
import type { Placement } from "../machine/placement.ts"
import { type Group, type GroupName, keys, type Round } from "./round.ts"
import type { Figure, LogFigure } from "./scenarios.ts"

export interface FigureSummary {
  readonly gigabytesPerSecond: Spread
  readonly recordsPerSecond: Spread
  readonly log: LogSummary | undefined
  /** Of plain writers at a given rate. */
  readonly pacedMicros: { readonly p50: Spread; readonly p99: Spread } | undefined
  /** 99th percentile of the syncs: of plain files, or of the replicas. */
  readonly syncMicros: Spread | undefined
  readonly groupBytes: Spread | undefined
  /** Cores that the writers of the files used together. */
  readonly writerCores: Spread | undefined
}

export interface LogSummary {
  readonly deliveredGigabytesPerSecond: Spread
  readonly publisherCores: Spread
  readonly subscriberCores: Spread
  readonly serveCores: Spread
  readonly heapBytesPerRecord: Spread
  readonly latencyMicros: { readonly p50: Spread; readonly p99: Spread; readonly p999: Spread }
  /** The longest time from a batch's sealing to its delivery: of the first, the second and the last third of a run. */
  readonly lagMillis: ReadonlyArray<Spread>
  readonly latenessMicros: { readonly p50: Spread; readonly p99: Spread } | undefined
}

export interface Summary {
  readonly placement: Placement | "any"
  readonly figures: Readonly<Record<string, FigureSummary>>
  /** The log's rate divided by the copy's rates before and after it. */
  readonly ofCopyLimit: Spread | undefined
  /** The log's rate divided by that of a copy that signals its reader only every 64 KiB. */
  readonly ofPackedCopy: Spread | undefined
  /** The rate of the log over flushed memory divided by that of a copy over it, which signals its reader once a batch. */
  readonly ofFlushedCopy: Spread | undefined
  /** The rate of durable acknowledgements divided by that of plain writers of as many files. */
  readonly ofPlainFiles: Spread | undefined
  /**
   * The 99th percentile of a durable acknowledgement at half the rate, divided by the sync interval and two syncs of the replicas
   * in that run, as its own 99th percentile of them is.
   */
  readonly durableOfBound: Spread | undefined
  /** The same of plain writers at that rate, with their own syncs; and the log's 99th percentile divided by theirs. */
  readonly plainOfBound: Spread | undefined
  readonly plainBesideOfBound: Spread | undefined
  readonly durableOfPaced: Spread | undefined
  /**
   * p50 of an acknowledgement of an `ordered` topic beside a durable one, divided by that of the topic alone, and by that beside
   * another ordered one with the same load: more processes share the same cores.
   */
  readonly besideOfAlone: Spread | undefined
  readonly besideOfOrdered: Spread | undefined
  /** The same beside another ordered one and plain writers of what the replicas would write. */
  readonly besideOfFiles: Spread | undefined
  /** The rate of reading history divided by that of a plain reader of the same files. */
  readonly historyOfPlain: { readonly cold: Spread | undefined; readonly warm: Spread | undefined }
  /** `ofCopyLimit` for small messages. */
  readonly smallOfCopyLimit: Spread | undefined
  /** The rate of order `session` divided by that of order `total`. */
  readonly sessionOfTotal: Spread | undefined
  /** The rate of delivery under order `none` divided by that under order `session`. */
  readonly noneOfSession: Spread | undefined
}

/** The placements that occurred, with the measurements under each. */
export const summarize = (rounds: ReadonlyArray<Round>): ReadonlyArray<Summary> =>
  (["near", "far", "any"] as const).flatMap((placement) => {
    const groups = rounds.flat().filter((group) => group.placement === placement)
    return groups.length === 0 ? [] : [summaryOf(placement, groups)]
  })

// --- internal ---

const summaryOf = (placement: Summary["placement"], groups: ReadonlyArray<Group>): Summary => {
  const figures = groups.flatMap(({ values }) => values)
  const found = new Set(figures.map(({ key }) => key))
  const summaries = [...found].flatMap((key) => {
    const summary = figureSummary(figures.filter((figure) => figure.key === key))
    return summary === undefined ? [] : [[key, summary] as const]
  })
  return {
    placement,
    figures: Object.fromEntries(summaries),
    ofCopyLimit: ratio(groups, "limit", [keys.log], [keys.copyBefore, keys.copyAfter]),
    ofPackedCopy: ratio(groups, "limit", [keys.log], [keys.copyPacked]),
    ofFlushedCopy: ratio(groups, "flushed", [keys.flushed], [keys.flushedCopyBefore, keys.flushedCopyAfter]),
    ofPlainFiles: ratio(groups, "durable", [keys.durable], [keys.plainBefore, keys.plainAfter]),
    durableOfBound: spreadOf(figures.filter(({ key }) => key === keys.durableLoad).flatMap(ofBound)),
    plainOfBound: spreadOf(figures.filter(({ key }) => key === keys.plainLoad).flatMap(ofBound)),
    plainBesideOfBound: spreadOf(figures.filter(({ key }) => key === keys.plainLoadBeside).flatMap(ofBound)),
    durableOfPaced: ratio(groups, "durable", [keys.durableLoad], [keys.plainLoad], lateLatency),
    besideOfAlone: ratio(groups, "beside", [keys.orderedBeside], [keys.orderedAlone], medianLatency),
    besideOfOrdered: ratio(groups, "beside", [keys.orderedBeside], [keys.orderedBesideOrdered], medianLatency),
    besideOfFiles: ratio(groups, "beside", [keys.orderedBeside], [keys.orderedBesideFiles], medianLatency),
    historyOfPlain: {
      cold: ratio(groups, "history", [keys.cold], [keys.plainCold]),
      warm: ratio(groups, "history", [keys.warm], [keys.plainWarm])
    },
    smallOfCopyLimit: ratio(groups, "small", [keys.smallLog], [keys.smallCopy]),
    sessionOfTotal: ratio(groups, "order", [keys.session], [keys.total]),
    noneOfSession: ratio(groups, "order", [keys.none], [keys.session], deliveredRate)
  }
}

// The ratio of rates measured in one group, because placements must not be mixed.
const ratio = (
  groups: ReadonlyArray<Group>,
  name: GroupName,
  over: ReadonlyArray<string>,
  under: ReadonlyArray<string>,
  rateOf: (figure: Figure) => number = ({ gigabytesPerSecond }) => gigabytesPerSecond
): Spread | undefined => {
  const mean = ({ values }: Group, keys: ReadonlyArray<string>) => {
    const rates = values.filter(({ key }) => keys.includes(key)).map(rateOf)
    return rates.reduce((sum, rate) => sum + rate, 0) / rates.length
  }
  const named = groups.filter((group) => group.name === name)
  return spreadOf(named.map((group) => mean(group, over) / mean(group, under)))
}

/** How long a record may wait for its group, and for the syncs of the group before and its own. */
const ofBound = (figure: Figure): ReadonlyArray<number> =>
  figure.syncMicros === undefined ? [] : [lateLatency(figure) / (1000 * defaultSyncMillis + 2 * figure.syncMicros.p99)]

const lateLatency = ({ log, pacedMicros }: Figure): number => (pacedMicros ?? log?.latencyMicros)?.p99 ?? NaN

const medianLatency = ({ log }: Figure): number => log?.latencyMicros.p50 ?? NaN

const deliveredRate = ({ log }: Figure): number => log?.deliveredGigabytesPerSecond ?? NaN

const figureSummary = (figures: ReadonlyArray<Figure>): FigureSummary | undefined => {
  const gigabytesPerSecond = spreadOf(figures.map((figure) => figure.gigabytesPerSecond))
  const recordsPerSecond = spreadOf(figures.map((figure) => figure.recordsPerSecond))
  if (gigabytesPerSecond === undefined || recordsPerSecond === undefined) return undefined
  return {
    gigabytesPerSecond,
    recordsPerSecond,
    log: logSummary(figures.flatMap(({ log }) => log ?? [])),
    pacedMicros: pacedSummary(figures.flatMap(({ pacedMicros }) => pacedMicros ?? [])),
    syncMicros: spreadOf(figures.flatMap(({ syncMicros }) => syncMicros?.p99 ?? [])),
    groupBytes: spreadOf(figures.flatMap(({ groupBytes }) => groupBytes ?? [])),
    writerCores: spreadOf(figures.flatMap(({ writerCores }) => writerCores ?? []))
  }
}

const pacedSummary = (latencies: ReadonlyArray<Percentiles>) => {
  const [p50, p99] = [spreadOf(latencies.map(({ p50 }) => p50)), spreadOf(latencies.map(({ p99 }) => p99))]
  return p50 === undefined || p99 === undefined ? undefined : { p50, p99 }
}

const longestOf = (lags: ReadonlyArray<number>, third: number): number => {
  const [from, until] = [third, third + 1].map((part) => Math.round(part * lags.length / 3))
  return Math.max(0, ...lags.slice(from, until))
}

const logSummary = (logs: ReadonlyArray<LogFigure>): LogSummary | undefined => {
  if (logs.length === 0) return undefined
  const spread = (f: (log: LogFigure) => number) => spreadOf(logs.map(f)) as Spread
  const lateness = logs.flatMap(({ latenessMicros }) => latenessMicros ?? [])
  const [late50, late99] = [spreadOf(lateness.map(({ p50 }) => p50)), spreadOf(lateness.map(({ p99 }) => p99))]
  return {
    deliveredGigabytesPerSecond: spread((log) => log.deliveredGigabytesPerSecond),
    publisherCores: spread(({ cores }) => cores.publisher),
    subscriberCores: spread(({ cores }) => cores.subscriber),
    serveCores: spread(({ cores }) => cores.serve),
    heapBytesPerRecord: spread((log) => log.heapBytesPerRecord),
    latencyMicros: {
      p50: spread(({ latencyMicros }) => latencyMicros.p50),
      p99: spread(({ latencyMicros }) => latencyMicros.p99),
      p999: spread(({ latencyMicros }) => latencyMicros.p999)
    },
    lagMillis: [0, 1, 2].map((third) => spread(({ lagMillis }) => longestOf(lagMillis, third))),
    latenessMicros: late50 === undefined || late99 === undefined ? undefined : { p50: late50, p99: late99 }
  }
}
