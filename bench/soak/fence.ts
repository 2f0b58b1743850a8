#!/usr/bin/env node
/**
 * The fence soak: with `node bench/soak/fence.ts --rounds N` the members of a swarm send bursts and meet N times, in
 * both forms of the trial, as processes over shared memory and as fibers in the heap.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { TrialForm } from "../../src/programs/barrier-trial/jobs.ts"
import * as TrialPlan from "../../src/programs/barrier-trial/plan.ts"
import * as TrialRun from "../../src/programs/barrier-trial/run.ts"
import { ChecksFailed, codeOfChecks, namesOfFailed } from "../../src/programs/cli/checks.ts"
import { printReport } from "../../src/programs/cli/report.ts"
import { runCommand } from "../../src/programs/cli/run-command.ts"
import { writeNotice } from "../../src/programs/cli/streams.ts"
import { countFlag, formatMicros, plural } from "../../src/programs/cli/units.ts"
import * as Report from "./fence-report.ts"

const flags = {
  rounds: countFlag("rounds", 100_000).pipe(Flag.withDescription("Barriers in each run"), Flag.withDefault(500)),
  mode: Flag.Literals("mode", ["deliveryFence", "processingFence"]).pipe(
    Flag.withDescription("What the barrier promises"),
    Flag.withDefault("deliveryFence" as const)
  ),
  drain: Flag.Literals("drain", ["on", "off"]).pipe(
    Flag.withDescription("off makes every fence a rendezvous, to see the checks fail"),
    Flag.withDefault("on" as const)
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("Print the report as JSON"), Flag.withDefault(false))
}

/** The coordinator is so slow that a burst is still in flight when all members have arrived. */
const shape = { members: 3, burst: 8, handlerDelayMillis: 2, kill: undefined, trace: false } as const

const backends = [["processes", TrialRun.run], ["in memory", TrialRun.runInHeap]] as const

const soak = Command.make(
  "soak-fence",
  flags,
  Effect.fnUntraced(function*({ json, rounds, ...options }) {
    const { burst, handlerDelayMillis, members } = shape
    yield* writeNotice(
      `${plural(rounds, "round")} of each run: ${members} members send ${plural(burst, "message")} to all and enter a `
        + `${options.mode}; the coordinator takes ${formatMicros(1000 * handlerDelayMillis)} for each message`
    )
    const runs = yield* Effect.forEach(
      backends,
      ([backend, run]) =>
        Effect.forEach(TrialForm.literals, (form) =>
          Effect.gen(function*() {
            yield* writeNotice(Report.titleOf(backend, form))
            const plan = yield* TrialPlan.plan({ ...shape, ...options, form, iterations: rounds }, "soak")
            return Report.runOf(backend, plan, yield* run(plan))
          }))
    )
    const report = Report.report(options, runs.flat())
    yield* printReport(json, report, Report.describe, codeOfChecks(report.passed))
    if (report.passed) return
    return yield* new ChecksFailed({ program: "soak-fence", failed: namesOfFailed(report.checks) })
  })
).pipe(
  Command.withDescription("Members send bursts and meet; checks that no message is missing when a barrier returns")
)

runCommand(soak)
