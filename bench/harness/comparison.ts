/**
 * Compares figures with limits, rivals and goals: groups of measurements, each taken under one placement of the cores,
 * over several runs.
 */
import * as Effect from "effect/Effect"
import { table } from "../../src/programs/cli/report.ts"
import { writeNotice } from "../../src/programs/cli/streams.ts"
import { describeEnvironment, type Environment, environment } from "../../src/programs/measure/environment.ts"
import * as Histogram from "../../src/programs/measure/histogram.ts"
import type { LatencyHistogram } from "../../src/programs/measure/latency.ts"
import { ranged, type Spread, spreadOf } from "../../src/programs/measure/spread.ts"
import type { RegionError } from "../../src/services/schema/RegionError.ts"
import { type Placed, type Placement, together } from "../machine/placement.ts"
import { formatGoal, formatValue, labelOf, type Unit } from "./units.ts"

/** The result of one measurement. The names of the values contain their units. */
export interface Figure {
  readonly key: string
  readonly values: Readonly<Record<string, number>>
  /** All samples of a latency, where they were taken one by one. */
  readonly latency?: LatencyHistogram
  /** False if the data that arrived differs from the data sent. */
  readonly agrees: boolean
}

export const figure = (key: string, values: Figure["values"], agrees = true): Figure => ({ key, values, agrees })

/** Of the samples of one process, or of several together. */
export const latencyFigure = (key: string, parts: ReadonlyArray<LatencyHistogram>, agrees = true): Figure => {
  const { histogram, p50, p99 } = Histogram.merged(parts).percentiles()
  return { ...figure(key, { p50Micros: p50, p99Micros: p99 }, agrees), latency: histogram }
}

/** Measurements that are compared with each other. */
export interface Comparison<E, R> {
  readonly name: string
  readonly measurements: ReadonlyArray<Effect.Effect<ReadonlyArray<Figure>, E, R>>
}

type ValueOf = (key: string, value: string) => number | undefined

/** A goal for a machine whose cores are near each other. */
export interface Goal {
  readonly name: string
  readonly wanted: number
  readonly sense: "at least" | "at most"
  readonly unit: Unit
  /** Computed from the figures of one group; `undefined` if the group lacks them. */
  readonly reached: (valueOf: ValueOf) => number | undefined
}

export interface Benchmark<E, R> {
  readonly program: string
  readonly runs: number
  /** The most attempts to measure a group when the placement of the cores changes meanwhile. */
  readonly attempts: number
  readonly settings: Readonly<Record<string, number | string>>
  readonly comparisons: ReadonlyArray<Comparison<E, R>>
  readonly goals: ReadonlyArray<Goal>
}

interface Group extends Placed<Figure> {
  readonly name: string
}

export interface GoalReached {
  readonly name: string
  readonly wanted: number
  readonly sense: Goal["sense"]
  readonly unit: Unit
  readonly reached: Spread
  readonly holds: boolean
}

export interface PlacementSummary {
  /** `flipped`: the placement changed in every attempt, so that none of its figures is compared with a goal. */
  readonly placement: Placement | "flipped"
  /** By key, and then by value. */
  readonly figures: Readonly<Record<string, Readonly<Record<string, Spread>>>>
  readonly goals: ReadonlyArray<GoalReached>
}

export interface ComparisonReport {
  readonly program: string
  readonly environment: Environment
  readonly settings: Readonly<Record<string, number | string>>
  readonly rounds: ReadonlyArray<ReadonlyArray<Group>>
  readonly summary: ReadonlyArray<PlacementSummary>
  /** Figures whose data that arrived differs from the data sent. */
  readonly disagreeing: ReadonlyArray<string>
}

/** The ratio of two values of one group. */
export const ratioOf = (valueOf: ValueOf, over: readonly [string, string], under: readonly [string, string]) => {
  const above = valueOf(...over)
  const below = valueOf(...under)
  return above === undefined || below === undefined || below === 0 ? undefined : above / below
}

export const measure = Effect.fnUntraced(function*<E, R>(
  { attempts, comparisons, goals, program, runs, settings }: Benchmark<E, R>
): Effect.fn.Return<ComparisonReport, E | RegionError, R> {
  const rounds: Array<ReadonlyArray<Group>> = []
  for (let run = 1; run <= runs; run += 1) {
    const round: Array<Group> = []
    for (const { measurements, name } of comparisons) {
      const placed = yield* together(measurements.map((measurement) => () => measurement), attempts)
      const group: Group = { ...placed, name, values: placed.values.flat() }
      yield* writeNotice(`run ${run} of ${runs}: ${describeGroup(group)}`)
      round.push(group)
    }
    rounds.push(round)
  }
  const figures = rounds.flat().flatMap(({ values }) => values)
  return {
    program,
    environment: environment(),
    settings: { ...settings, runs },
    rounds,
    summary: summarize(rounds.flat(), goals),
    disagreeing: [...new Set(figures.filter(({ agrees }) => !agrees).map(({ key }) => key))]
  }
})

/** The report as text. */
export const describe = (report: ComparisonReport): string =>
  [
    "",
    describeEnvironment(report.environment),
    Object.entries(report.settings).map(([name, value]) => `${name} ${value}`).join(", "),
    ...report.summary.flatMap(summaryLines),
    "",
    ...report.disagreeing.map((key) => `NOT EQUAL: the data that arrived is not the data sent: ${key}`)
  ].join("\n")

/** The figures of each placement, and the goals reached. */
export const summarize = (groups: ReadonlyArray<Group>, goals: ReadonlyArray<Goal>): ReadonlyArray<PlacementSummary> =>
  (["near", "far", "flipped"] as const).flatMap((placement) => {
    const placed = groups.filter((group) => group.placement === placement)
    if (placed.length === 0) return []
    const reached = placement === "flipped" ? [] : goalsReached(placed, goals)
    return [{ placement, figures: spreadsOf(placed), goals: reached }]
  })

// --- internal ---

const spreadsOf = (groups: ReadonlyArray<Group>): PlacementSummary["figures"] => {
  const figures = groups.flatMap(({ values }) => values)
  const samples = new Map<string, Map<string, Array<number>>>()
  for (const { key, values } of figures) {
    const byName = samples.get(key) ?? new Map<string, Array<number>>()
    samples.set(key, byName)
    for (const [name, value] of Object.entries(values)) byName.set(name, [...byName.get(name) ?? [], value])
  }
  return Object.fromEntries(
    [...samples].map(([key, byName]) => [
      key,
      Object.fromEntries([...byName].map(([name, values]) => [name, spreadOf(values) as Spread]))
    ])
  )
}

// Computes each ratio within one group, because placements must not be mixed.
const goalsReached = (groups: ReadonlyArray<Group>, goals: ReadonlyArray<Goal>): ReadonlyArray<GoalReached> =>
  goals.flatMap(({ name, reached: reachedBy, sense, unit, wanted }) => {
    const reached = spreadOf(groups.flatMap((group) => reachedBy(valuesOf(group)) ?? []))
    if (reached === undefined) return []
    const holds = sense === "at least" ? reached.median >= wanted : reached.median <= wanted
    return [{ name, wanted, sense, unit, reached, holds }]
  })

const valuesOf = ({ values }: Group): ValueOf => (key, value) =>
  values.find((figure) => figure.key === key)?.values[value]

const describeGroup = ({ attempts, name, placement, values }: Group): string => {
  const again = attempts === 1 ? "" : `, attempt ${attempts}`
  const found = values.map(({ key, values }) => {
    const [first] = Object.entries(values)
    return first === undefined ? key : `${key} ${labelOf(first[0])}${formatValue(...first)}`
  })
  return `${name}: ${found.join("; ")} (${placement}${again})`
}

const rangedValue = (name: string, spread: Spread): string => ranged(spread, (value) => formatValue(name, value))

const summaryLines = ({ figures, goals, placement }: PlacementSummary): ReadonlyArray<string> => [
  "",
  placement === "flipped"
    ? "the placement of the cores changed in every attempt: do not compare"
    : `cores placed ${placement}`,
  table(
    Object.entries(figures).map(([key, values]) => [
      `  ${key}`,
      Object.entries(values).map(([name, spread]) => labelOf(name) + rangedValue(name, spread)).join("   ")
    ])
  ),
  ...(goals.length === 0 ? [] : [
    "",
    placement === "near" ? "goals" : "goals (they are meant for near cores)",
    table(goals.map(({ holds, name, reached, sense, unit, wanted }) => [
      `${holds ? "✓" : "✗"} ${name}`,
      ranged(reached, (value) => formatGoal(unit, value)),
      `${sense} ${formatGoal(unit, wanted)}`
    ]))
  ])
]
