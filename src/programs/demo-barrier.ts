/**
 * `ringfence demo barrier`: bursts, a slow coordinator, and a barrier that does not return before the bursts have
 * arrived.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { BarrierMode } from "../services/schema/BarrierArrival.ts"
import * as TrialPlan from "./barrier-trial/plan.ts"
import * as TrialReport from "./barrier-trial/report.ts"
import { run } from "./barrier-trial/run.ts"
import { ChecksFailed, codeOfChecks, namesOfFailed } from "./cli/checks.ts"
import { printReport } from "./cli/report.ts"
import {
  configured,
  flagsOf,
  jsonSetting,
  openSetting,
  printConfigFlag,
  setting,
  type ValuesOf
} from "./cli/settings.ts"
import { writeNotice } from "./cli/streams.ts"
import { countFlag, millisFlag, writtenMillis } from "./cli/units.ts"
import { lines } from "./cli/usage.ts"

const settings = {
  members: setting("members", (name) => countFlag(name, 32), {
    description: "Members that meet, one process each; this process is the first and coordinates",
    fallback: 4
  }),
  iterations: setting("iterations", (name) => countFlag(name, 100_000), {
    description: "Number of barriers, entered one after the other",
    fallback: 64
  }),
  burst: setting("burst", (name) => countFlag(name, 10_000), {
    description: "Messages that each member sends to all before it enters the barrier",
    fallback: 8
  }),
  handlerDelayMillis: setting("handler-delay", millisFlag, {
    description: "Time that the coordinator takes to handle a message",
    fallback: 12,
    show: writtenMillis
  }),
  mode: setting("mode", (name) => Flag.Literals(name, BarrierMode.literals), {
    description: "What the barrier promises",
    fallback: "deliveryFence"
  }),
  drain: setting("drain", (name) => Flag.Literals(name, ["on", "off"]), {
    description: "off makes every barrier a rendezvous, to see the checks fail",
    fallback: "on"
  }),
  kill: openSetting("kill", TrialPlan.killFlag, {
    description: "A member to kill within its burst, and the iteration",
    shown: "none"
  }),
  trace: setting("trace", (name) => Flag.Boolean(name), {
    description: "Show every iteration, and what each barrier waited for",
    fallback: false
  }),
  json: jsonSetting
}

export const demoBarrier = Command.make(
  "barrier",
  { ...flagsOf(settings), printConfig: printConfigFlag },
  (input) => configured(settings, input, ({ values }) => demonstrate(values))
).pipe(
  Command.withDescription(
    lines(
      "Several processes send bursts to each other and meet at a barrier, over and over. The coordinator is slow.",
      "Checks at every return, in every process, that every message sent before the barrier has arrived. Ends with exit",
      "code 1 if any check fails."
    )
  ),
  Command.withShortDescription("See a barrier wait for the messages sent before it"),
  Command.withExamples([
    { command: "ringfence demo barrier", description: "4 processes, 64 barriers, nothing missing" },
    { command: "ringfence demo barrier --drain off", description: "The same without draining: the checks fail" },
    { command: "ringfence demo barrier --kill 2@20", description: "A process dies; the others go on" }
  ])
)

// --- internal ---

const demonstrate = Effect.fnUntraced(function*({ json, ...options }: ValuesOf<typeof settings>) {
  const plan = yield* TrialPlan.plan({ ...options, form: "contiguity" })
  yield* writeNotice(TrialPlan.describe(plan))
  const report = TrialReport.report(plan, yield* run(plan))
  yield* printReport(json, report, TrialReport.describe(options.trace), codeOfChecks(report.passed))
  if (!report.passed) return yield* new ChecksFailed({ program: "demo barrier", failed: namesOfFailed(report.checks) })
})
