/**
 * The report of a barrier trial: its checks, its figures, and both as text.
 */
import type { BarrierTrace } from "../../layers/Swarm.ts"
import { showMember } from "../../services/schema/Member.ts"
import { type Check, checkLine } from "../cli/checks.ts"
import { table } from "../cli/report.ts"
import { formatCount, formatMillis as formatTime } from "../cli/units.ts"
import { checksOf } from "./checks.ts"
import { type Iteration, iterationsOf, type Typical, typical } from "./iterations.ts"
import { formatKill, type TrialOptions, type TrialPlan } from "./plan.ts"
import { memberName } from "./rounds.ts"
import type { TrialOutcome } from "./run.ts"

export interface TrialReport {
  readonly program: "demo barrier"
  readonly passed: boolean
  readonly checks: ReadonlyArray<Check>
  readonly region: { readonly path: string; readonly bytes: number }
  readonly settings: Omit<TrialOptions, "form" | "kill" | "trace"> & { readonly kill: string | null }
  readonly summary: {
    readonly millis: Typical
    readonly drained: Typical
    readonly missing: Typical
    readonly releaseMillis: Typical
  }
  readonly members: ReadonlyArray<MemberRow>
  readonly iterations: ReadonlyArray<Iteration>
  readonly traces: ReadonlyArray<BarrierTrace>
}

export interface MemberRow {
  readonly member: string
  /** `killed by SIGKILL`, or `null` when the member lived to report. */
  readonly died: string | null
  readonly barriers: number
  readonly handled: number
  readonly missing: number
}

export const report = (plan: TrialPlan, outcome: TrialOutcome): TrialReport => {
  const { form: _, kill, trace: __, ...settings } = plan.options
  const checks = checksOf(plan, outcome)
  const iterations = iterationsOf(plan.options, outcome)
  return {
    program: "demo barrier",
    passed: checks.every(({ holds }) => holds),
    checks,
    region: { path: plan.path, bytes: plan.bytes },
    settings: { ...settings, kill: kill === undefined ? null : formatKill(kill) },
    summary: {
      millis: typical(iterations, ({ millis }) => millis),
      drained: typical(iterations, ({ drained }) => drained),
      missing: typical(iterations, ({ missing }) => missing),
      releaseMillis: typical(iterations, ({ releaseMillis }) => releaseMillis)
    },
    members: memberRows(outcome),
    iterations,
    traces: outcome.traces
  }
}

/** The report as text, with every iteration where tracing is on. */
export const describe = (trace: boolean) => (report: TrialReport): string => {
  const { drained, millis, missing, releaseMillis } = report.summary
  const row = (name: string, { iteration, median, worst }: Typical, format: (value: number) => string) => [
    name,
    format(median),
    format(worst),
    `${iteration}`
  ]
  return [
    "",
    ...(trace ? [iterationTable(report), "", ...report.traces.map(traceLine), ""] : []),
    table([
      ["", "median", "worst", "in iteration"],
      row("an iteration", millis, formatMillis),
      row(`drained in ${memberName(0)}'s barrier`, drained, formatCount),
      row("missing at a return, all members", missing, formatCount),
      row("release, once all have arrived", releaseMillis, formatMillis)
    ]),
    "",
    table([
      ["member", "barriers", "handled", "missing", ""],
      ...report.members.map(({ barriers, died, handled, member, missing }) => [
        member,
        formatCount(barriers),
        formatCount(handled),
        formatCount(missing),
        died ?? ""
      ])
    ]),
    "",
    ...report.checks.map(checkLine)
  ].join("\n")
}

// --- internal ---

const formatMillis = (millis: number): string => Number.isFinite(millis) ? formatTime(Math.max(0, millis)) : "never"

const memberRows = ({ verdicts }: TrialOutcome): ReadonlyArray<MemberRow> =>
  verdicts.map((verdict, member) => {
    const name = memberName(member)
    if (verdict._tag === "Killed") return { member: name, died: verdict.how, barriers: 0, handled: 0, missing: 0 }
    const { handled, rounds } = verdict.result
    const missing = rounds.reduce((sum, round) => sum + round.missing, 0)
    return { member: name, died: null, barriers: rounds.length, handled, missing }
  })

const iterationTable = ({ iterations }: TrialReport): string =>
  table([
    ["iteration", "took", "drained", "missing", "release", ""],
    ...iterations.map(({ departed, drained, iteration, millis, missing, releaseMillis }) => [
      `${iteration}`,
      formatMillis(millis),
      formatCount(drained),
      formatCount(missing),
      formatMillis(releaseMillis),
      departed.length === 0 ? "" : `without ${departed.join(", ")}`
    ])
  ])

const traceLine = (trace: BarrierTrace): string =>
  `[barrier] round=${trace.round} member=${showMember(trace.member)} side=${trace.side} ring=${trace.ring} `
  + `target=${trace.target} observed=${trace.observed} backlog_before=${trace.backlogBefore} `
  + `backlog_after=${trace.backlogAfter} messages=${trace.messages}`
