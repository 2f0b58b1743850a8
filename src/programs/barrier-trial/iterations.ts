/**
 * The iterations of a demonstration of the barrier, put together from what all members saw of them.
 */
import { spreadOf } from "../measure/spread.ts"
import type { MemberResult, MemberRound } from "./jobs.ts"
import type { FenceOptions } from "./plan.ts"
import type { FenceOutcome } from "./run.ts"

export interface Iteration {
  /** Counted from 1. */
  readonly iteration: number
  /** From the release before to this one, in the coordinator's process. */
  readonly millis: number
  /** Messages that came through in the coordinator's process while it was in the barrier. */
  readonly drained: number
  /** In all members together. */
  readonly missing: number
  /** Messages that came before the release behind which they were sent, in all members together. */
  readonly ahead: number
  /** From the moment when all that was promised had come true to the last return. */
  readonly releaseMillis: number
  /** Returns before that moment. */
  readonly early: number
  /** Members that all others were told are gone. */
  readonly departed: ReadonlyArray<string>
  /** True when all members were told of the same departures. */
  readonly agreed: boolean
}

export const resultsOf = ({ verdicts }: FenceOutcome): ReadonlyArray<MemberResult> =>
  verdicts.flatMap((verdict) => verdict._tag === "Reported" ? [verdict.result] : [])

export const iterationsOf = (options: FenceOptions, outcome: FenceOutcome): ReadonlyArray<Iteration> => {
  const [own, ...others] = resultsOf(outcome)
  return (own?.rounds ?? []).map((round, i) => {
    const before = own?.rounds[i - 1]?.returnedMillis ?? outcome.beganMillis
    const all = [round, ...others.flatMap(({ rounds }) => rounds[i] ?? [])] as const
    return { iteration: i + 1, millis: round.returnedMillis - before, ...iterationOf(options, all) }
  })
}

export interface Typical {
  readonly median: number
  readonly worst: number
  /** The iteration of the worst. */
  readonly iteration: number
}

export const typical = (iterations: ReadonlyArray<Iteration>, value: (of: Iteration) => number): Typical => {
  const spread = spreadOf(iterations.map(value))
  const worst = iterations.find((iteration) => value(iteration) === spread?.max)
  return { median: spread?.median ?? 0, worst: spread?.max ?? 0, iteration: worst?.iteration ?? 0 }
}

// --- internal ---

const iterationOf = (options: FenceOptions, all: readonly [MemberRound, ...Array<MemberRound>]) => {
  const [own] = all
  const due = dueMillis(options, all)
  const departures = new Set(all.map(({ departed }) => departed.join(", ")))
  return {
    drained: own.drained,
    missing: all.reduce((sum, { missing }) => sum + missing, 0),
    ahead: all.reduce((sum, { ahead }) => sum + ahead, 0),
    releaseMillis: Math.max(...all.map(({ returnedMillis }) => returnedMillis)) - due,
    early: all.filter(({ returnedMillis }) => returnedMillis < due).length,
    departed: own.departed,
    agreed: departures.size === 1
  }
}

// Nobody may go on before all have arrived; nor, out of a delivery fence, before the coordinator was delivered all that
// was sent; nor, out of a processing fence, before everybody has handled it.
const dueMillis = (
  { mode }: FenceOptions,
  all: readonly [MemberRound, ...Array<MemberRound>]
): number => {
  const reached = mode === "rendezvous" ? [] : mode === "deliveryFence" ? [all[0]] : all
  return Math.max(
    ...all.map(({ enteredMillis }) => enteredMillis),
    ...reached.map(({ reachedMillis }) => reachedMillis === 0 ? Number.POSITIVE_INFINITY : reachedMillis)
  )
}
