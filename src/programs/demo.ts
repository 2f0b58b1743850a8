/**
 * `ringfence demo`: sends real files through real processes and checks every byte. `demo barrier` has a file of its
 * own.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ChecksFailed, codeOfChecks, namesOfFailed } from "./cli/checks.ts"
import { coherenceSetting } from "./cli/coherence-flag.ts"
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
import { bytesFlag, countFlag, formatBytes, millisFlag, writtenMillis } from "./cli/units.ts"
import { lines } from "./cli/usage.ts"
import { demoBarrier } from "./demo-barrier.ts"
import { demoAcks } from "./demo/jobs.ts"
import * as DemoPlan from "./demo/plan.ts"
import { run } from "./demo/run.ts"
import { killableRoles, type KillPlan } from "./log-trial/kill.ts"

const tooSmall = () => "a record has at least one byte"

const killFlag = (name: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("role@percent"),
    Flag.filterMap(
      parseKill,
      (text) => `"${text}" is not ${killableRoles.join(", ")} and a percentage below 100: write sequencer@30%`
    )
  )

const parseKill = (text: string): Option.Option<KillPlan> => {
  const [, name, percent] = /^(\w+)@(\d+(?:\.\d+)?)%$/.exec(text) ?? []
  const role = killableRoles.find((role) => role === name)
  return role === undefined || Number(percent) >= 100
    ? Option.none()
    : Option.some({ role, fraction: Number(percent) / 100 })
}

const settings = {
  brokers: setting("brokers", (name) => countFlag(name, 32), {
    description: "Brokers",
    fallback: 4
  }),
  publishers: setting("publishers", (name) => countFlag(name, 64), {
    description: "Publisher processes, among which the input is split",
    fallback: 2
  }),
  subscribers: setting("subscribers", (name) => countFlag(name, 64), {
    description: "Subscriber processes, each of which reads everything",
    fallback: 2
  }),
  minBytes: openSetting("min-bytes", bytesFlag, {
    description: "Repeat the input up to at least this size",
    shown:
      `${formatBytes(DemoPlan.defaultMinBytes)} (${formatBytes(DemoPlan.defaultKillMinBytes)} with --kill, ${
        formatBytes(DemoPlan.defaultReplicatedMinBytes)
      } with --replicas), or once when `
      + "paths are given"
  }),
  recordBytes: setting("record-bytes", (name) => Flag.filter(bytesFlag(name), (bytes) => bytes >= 1, tooSmall), {
    description: "Size of a record",
    fallback: 1024
  }),
  skewMillis: setting("skew", millisFlag, {
    description: "Publish each broker's batches late, by a random time up to this, so that they arrive out of order",
    fallback: 0,
    show: writtenMillis
  }),
  coherence: coherenceSetting,
  kill: openSetting("kill", killFlag, {
    description: "Kill a process at a percentage of the acknowledgements: sequencer@30% (a standby takes over), "
      + "publisher@30%, subscriber@30% or replica@30% (it is started again)",
    shown: "none"
  }),
  replicas: setting("replicas", (name) => countFlag(name, 16, 0), {
    description: "Processes that each write all records to files of their own, which are verified in the end",
    fallback: 0
  }),
  ack: setting("ack", (name) => Flag.Literals(name, demoAcks), {
    description:
      "When a record is acknowledged: in the order, or on the disks of all replicas (durable, with --replicas)",
    fallback: "ordered"
  }),
  json: jsonSetting
}

const inputs = {
  paths: Argument.String("paths").pipe(
    Argument.withDescription("Files and folders to publish (default: the sources of an installed package, repeated)"),
    Argument.variadic()
  ),
  // Switches off the rule that holds early batches, to see the checks fail.
  unsafeIgnoreSessionOrder: Flag.Boolean("unsafe-ignore-session-order").pipe(Flag.withHidden, Flag.withDefault(false))
}

export const demo = Command.make(
  "demo",
  { ...flagsOf(settings), ...inputs, printConfig: printConfigFlag },
  (input) =>
    configured(settings, input, ({ values }) => demonstrate(values, input.paths, input.unsafeIgnoreSessionOrder))
).pipe(
  Command.withDescription(
    lines(
      "Publishes files from several processes through several brokers, delivers them to several subscriber processes in",
      "one order, and checks every byte. Ends with exit code 1 if any check fails."
    )
  ),
  Command.withShortDescription("See the log at work, with every byte checked"),
  Command.withExamples([
    { command: "ringfence demo", description: "1 GiB of source files" },
    { command: "ringfence demo ~/Pictures --skew 5ms", description: "Your files, arriving out of order" },
    { command: "ringfence demo --kill sequencer@30%", description: "A standby goes on when the server is killed" },
    {
      command: "ringfence demo --replicas 2 --ack durable --kill replica@30%",
      description: "On two disks, one of which is lost on the way and catches up"
    }
  ]),
  Command.withSubcommands([demoBarrier])
)

// --- internal ---

const demonstrate = Effect.fnUntraced(function*(
  { json, ...values }: ValuesOf<typeof settings>,
  paths: ReadonlyArray<string>,
  unsafeIgnoreSessionOrder: boolean
) {
  const plan = yield* DemoPlan.plan({ ...values, paths, unsafeIgnoreSessionOrder })
  yield* writeNotice(DemoPlan.describe(plan))
  const outcome = yield* run(plan)
  // Loads the library of histograms, which no other command should wait for.
  const DemoReport = yield* Effect.promise(() => import("./demo/report.ts"))
  const report = DemoReport.report(plan, outcome)
  yield* printReport(json, report, DemoReport.describe, codeOfChecks(report.passed))
  if (!report.passed) return yield* new ChecksFailed({ program: "demo", failed: namesOfFailed(report.checks) })
})
