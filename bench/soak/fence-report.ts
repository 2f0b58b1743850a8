/**
 * What a validation of the fence found, run by run.
 */
import { checksOf } from "../../src/programs/barrier-trial/checks.ts"
import { iterationsOf, resultsOf, type Typical, typical } from "../../src/programs/barrier-trial/iterations.ts"
import type { FenceForm } from "../../src/programs/barrier-trial/jobs.ts"
import type { FenceOptions, FencePlan } from "../../src/programs/barrier-trial/plan.ts"
import type { FenceOutcome } from "../../src/programs/barrier-trial/run.ts"
import { type Check, checkLine } from "../../src/programs/cli/checks.ts"
import { table } from "../../src/programs/cli/report.ts"
import { formatCount, formatMicros } from "../../src/programs/cli/units.ts"

/** Members are processes over shared memory, or fibers of this process. */
export type Backend = "processes" | "in memory"

export interface ValidatedRun {
  readonly backend: Backend
  readonly form: FenceForm
  readonly rounds: number
  /** Messages whose handler has ended, in all members. */
  readonly handled: number
  /** Messages that were not there when a fence returned, in all members and rounds. */
  readonly missing: number
  readonly roundMillis: Typical
  readonly releaseMillis: Typical
  readonly checks: ReadonlyArray<Check>
}

export interface ValidateFenceReport extends Pick<FenceOptions, "drain" | "mode"> {
  readonly program: "validate-fence"
  readonly passed: boolean
  readonly runs: ReadonlyArray<ValidatedRun>
  /** Of all runs, each under its run's title. */
  readonly checks: ReadonlyArray<Check>
}

export const titleOf = (backend: Backend, form: FenceForm): string =>
  `${backend}, ${form === "start" ? "a rendezvous at the start" : "contiguity alone"}`

export const runOf = (backend: Backend, plan: FencePlan, outcome: FenceOutcome): ValidatedRun => {
  const { form, iterations: rounds } = plan.options
  const iterations = iterationsOf(plan.options, outcome)
  return {
    backend,
    form,
    rounds,
    handled: resultsOf(outcome).reduce((sum, { handled }) => sum + handled, 0),
    missing: iterations.reduce((sum, { missing }) => sum + missing, 0),
    roundMillis: typical(iterations, ({ millis }) => millis),
    releaseMillis: typical(iterations, ({ releaseMillis }) => releaseMillis),
    checks: checksOf(plan, outcome)
  }
}

export const report = (
  { drain, mode }: Pick<FenceOptions, "drain" | "mode">,
  runs: ReadonlyArray<ValidatedRun>
): ValidateFenceReport => {
  const checks = runs.flatMap(({ checks, backend, form }) =>
    checks.map((check) => ({ ...check, name: `${titleOf(backend, form)}: ${check.name}` }))
  )
  return { program: "validate-fence", passed: checks.every(({ holds }) => holds), mode, drain, runs, checks }
}

export const describe = ({ checks, runs }: ValidateFenceReport): string => {
  const failed = checks.filter(({ holds }) => !holds)
  return [
    "",
    table([
      ["", "rounds", "handled", "missing", "a round", "release", "worst release"],
      ...runs.map(({ backend, form, handled, missing, releaseMillis, roundMillis, rounds }) => [
        titleOf(backend, form),
        formatCount(rounds),
        formatCount(handled),
        formatCount(missing),
        formatMillis(roundMillis.median),
        formatMillis(releaseMillis.median),
        formatMillis(releaseMillis.worst)
      ])
    ]),
    "",
    ...(failed.length === 0 ? [`✓ all ${checks.length} checks hold: ${summary(runs)}`] : failed.map(checkLine))
  ].join("\n")
}

// --- internal ---

const formatMillis = (millis: number): string =>
  Number.isFinite(millis) ? formatMicros(Math.max(0, 1000 * millis)) : "never"

const summary = (runs: ReadonlyArray<ValidatedRun>): string => {
  const rounds = runs.reduce((sum, { rounds }) => sum + rounds, 0)
  return `nothing was missing after any of ${formatCount(rounds)} fences, in any member`
}
