#!/usr/bin/env node
/**
 * The call soak: `node bench/soak/calls.ts --calls N` makes N calls between two processes, samples their memory, and
 * fails when the memory in use grows with the calls.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { ChecksFailed, codeOfChecks, namesOfFailed } from "../../src/programs/cli/checks.ts"
import { printReport } from "../../src/programs/cli/report.ts"
import { runCommand } from "../../src/programs/cli/run-command.ts"
import { writeNotice } from "../../src/programs/cli/streams.ts"
import { countFlag, formatCount } from "../../src/programs/cli/units.ts"
import * as Children from "../../src/programs/processes/spawn.ts"
import { CallsCalling, type CallsJob, CallsServing, serverName } from "./calls-jobs.ts"
import * as Report from "./calls-report.ts"

const flags = {
  calls: countFlag("calls", 100_000_000).pipe(
    Flag.withDescription("Total number of calls"),
    Flag.withDefault(500_000)
  ),
  every: countFlag("every", 100_000_000).pipe(
    Flag.withDescription("Calls between two samples of the memory"),
    Flag.withDefault(50_000)
  ),
  concurrency: countFlag("concurrency", 10_000).pipe(
    Flag.withDescription("Calls in flight at once"),
    Flag.withDefault(16)
  ),
  payloadBytes: countFlag("payload-bytes", 1_048_576).pipe(
    Flag.withDescription("Bytes of the largest payload; all lengths up to it occur"),
    Flag.withDefault(1000)
  ),
  perClient: countFlag("per-client", 100_000_000).pipe(
    Flag.withDescription("Calls after which the client is replaced by a new one"),
    Flag.withDefault(1000)
  ),
  strategy: Flag.Literals("strategy", ["park", "adaptive", "spin"]).pipe(
    Flag.withDescription("How both processes wait for messages"),
    Flag.withDefault("adaptive" as const)
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("Print the report as JSON"), Flag.withDefault(false))
}

const soak = Command.make(
  "soak-calls",
  flags,
  Effect.fnUntraced(function*({ json, ...settings }) {
    yield* writeNotice(
      `${
        formatCount(settings.calls)
      } calls between two processes, ${settings.concurrency} at once; a sample of their memory `
        + `every ${formatCount(settings.every)}`
    )
    const region = `calls-${process.pid}`
    const job: CallsJob = { ...settings, region, name: "client", coordinates: false, members: 2 }
    const result = yield* Effect.scoped(Effect.gen(function*() {
      const server = yield* Children.started(CallsServing, "server", { ...job, name: serverName, coordinates: true })
      const client = yield* Children.started(CallsCalling, "client", job)
      const result = yield* client.result
      yield* Children.end([client])
      yield* Children.end([server])
      return result
    }))
    const report = Report.report(settings, result)
    yield* printReport(json, report, Report.describe, codeOfChecks(report.passed))
    if (report.passed) return
    return yield* new ChecksFailed({ program: "soak-calls", failed: namesOfFailed(report.checks) })
  })
).pipe(Command.withDescription("Makes many calls, and checks that the memory of both ends does not grow"))

runCommand(soak)
