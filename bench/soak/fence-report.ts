/**
 * The report of the fence soak, run by run.
 */
import { checksOf } from "../../src/programs/barrier-trial/checks.ts"
import { iterationsOf, resultsOf, type Typical, typical } from "../../src/programs/barrier-trial/iterations.ts"
import type { TrialForm } from "../../src/programs/barrier-trial/jobs.ts"
import type { TrialOptions, TrialPlan } from "../../src/programs/barrier-trial/plan.ts"
import type { TrialOutcome } from "../../src/programs/barrier-trial/run.ts"
import { type Check, checkLine } from "../../src/programs/cli/checks.ts"
import { table } from "../../src/programs/cli/report.ts"
import { formatCount, formatMicros } from "../../src/programs/cli/units.ts"

/** Members are processes over shared memory, or fibers of this process. */
export type Backend = "processes" | "in memory"

export interface SoakRun {
  readonly backend: Backend
  readonly form: TrialForm
  readonly rounds: number
  /** Messages whose handler has ended, in all members. */
  readonly handled: number
  /** Messages that had not arrived when a fence returned, in all members and rounds. */
  readonly missing: number
  readonly roundMillis: Typical
  readonly releaseMillis: Typical
  readonly checks: ReadonlyArray<Check>
}

export interface FenceSoakReport extends Pick<TrialOptions, "drain" | "mode"> {
  readonly program: "soak-fence"
  readonly passed: boolean
  readonly runs: ReadonlyArray<SoakRun>
  /** The checks of all runs, each prefixed with its run's title. */
  readonly checks: ReadonlyArray<Check>
}

export const titleOf = (backend: Backend, form: TrialForm): string =>
  `${backend}, ${form === "start" ? "a rendezvous at the start" : "contiguity alone"}`

export const runOf = (backend: Backend, plan: TrialPlan, outcome: TrialOutcome): SoakRun => {
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
  { drain, mode }: Pick<TrialOptions, "drain" | "mode">,
  runs: ReadonlyArray<SoakRun>
): FenceSoakReport => {
  const checks = runs.flatMap(({ checks, backend, form }) =>
    checks.map((check) => ({ ...check, name: `${titleOf(backend, form)}: ${check.name}` }))
  )
  return { program: "soak-fence", passed: checks.every(({ holds }) => holds), mode, drain, runs, checks }
}

export const describe = ({ checks, runs }: FenceSoakReport): string => {
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

const summary = (runs: ReadonlyArray<SoakRun>): string => {
  const rounds = runs.reduce((sum, { rounds }) => sum + rounds, 0)
  return `nothing was missing after any of ${formatCount(rounds)} fences, in any member`
}
