/**
 * Combines what all members saw into the iterations of a barrier trial.
 */
import { spreadOf } from "../measure/spread.ts"
import type { MemberResult, MemberRound } from "./jobs.ts"
import type { TrialOptions } from "./plan.ts"
import type { TrialOutcome } from "./run.ts"

export interface Iteration {
  /** Counted from 1. */
  readonly iteration: number
  /** From the previous release to this one, in the coordinator's process. */
  readonly millis: number
  /** Messages that arrived in the coordinator's process while it was in the barrier. */
  readonly drained: number
  /** Messages missing at a return, in all members together. */
  readonly missing: number
  /** Messages that arrived before the release after which they were sent, in all members together. */
  readonly ahead: number
  /** From the moment when the barrier's promise was fulfilled to the last return. */
  readonly releaseMillis: number
  /** Members that returned before that moment. */
  readonly early: number
  /** Members that the barrier reported as departed. */
  readonly departed: ReadonlyArray<string>
  /** True when the barrier reported the same departures to all members. */
  readonly agreed: boolean
}

export const resultsOf = ({ verdicts }: TrialOutcome): ReadonlyArray<MemberResult> =>
  verdicts.flatMap((verdict) => verdict._tag === "Reported" ? [verdict.result] : [])

export const iterationsOf = (options: TrialOptions, outcome: TrialOutcome): ReadonlyArray<Iteration> => {
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
  /** The iteration of the worst value. */
  readonly iteration: number
}

export const typical = (iterations: ReadonlyArray<Iteration>, value: (of: Iteration) => number): Typical => {
  const spread = spreadOf(iterations.map(value))
  const worst = iterations.find((iteration) => value(iteration) === spread?.max)
  return { median: spread?.median ?? 0, worst: spread?.max ?? 0, iteration: worst?.iteration ?? 0 }
}

// --- internal ---

const iterationOf = (options: TrialOptions, all: readonly [MemberRound, ...Array<MemberRound>]) => {
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

// The earliest time at which a member may return: from any barrier, once all have arrived; from a delivery fence, once
// every message is also delivered at the coordinator; from a processing fence, once every member has handled every
// message.
const dueMillis = (
  { mode }: TrialOptions,
  all: readonly [MemberRound, ...Array<MemberRound>]
): number => {
  const reached = mode === "rendezvous" ? [] : mode === "deliveryFence" ? [all[0]] : all
  return Math.max(
    ...all.map(({ enteredMillis }) => enteredMillis),
    ...reached.map(({ reachedMillis }) => reachedMillis === 0 ? Number.POSITIVE_INFINITY : reachedMillis)
  )
}
