#!/usr/bin/env node
/**
 * The log soak: `node bench/soak/log.ts --gib N` carries N GiB of records through four brokers from two publisher
 * processes to one subscriber process, and checks every promise of the log.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ChecksFailed, codeOfChecks, namesOfFailed } from "../../src/programs/cli/checks.ts"
import { planRegion, type RegionPlan, removeLeftovers } from "../../src/programs/cli/region-plan.ts"
import { printReport } from "../../src/programs/cli/report.ts"
import { runCommand } from "../../src/programs/cli/run-command.ts"
import { writeNotice } from "../../src/programs/cli/streams.ts"
import { countFlag, formatBytes, formatCount, plural } from "../../src/programs/cli/units.ts"
import * as LogRun from "../../src/programs/log-trial/run.ts"
import { recordBytes } from "../../src/programs/log-trial/session-content.ts"
import { SoakPublisher, SoakSubscriber, SoakTopic } from "./log-jobs.ts"
import * as LogSoakReport from "./log-report.ts"

const publishers = 2
const brokers = 4
const mebibyte = 1024 * 1024

const flags = {
  gib: countFlag("gib", 1024).pipe(Flag.withDescription("Gibibytes to carry"), Flag.withDefault(1)),
  // Records instead of `--gib`, for a run short enough for a test.
  mib: countFlag("mib", 1024).pipe(Flag.withHidden, Flag.optional),
  json: Flag.Boolean("json").pipe(Flag.withDescription("Print the report as JSON"), Flag.withDefault(false))
}

const region = Effect.andThen(
  removeLeftovers("soak-"),
  planRegion(`soak-${process.pid}`, {
    brokers,
    clients: publishers,
    readers: 1,
    topics: 1
  })
)

const run = (region: RegionPlan, records: number) =>
  LogRun.run({
    label: "soak",
    region,
    serve: { topics: [SoakTopic] },
    records,
    publisher: SoakPublisher,
    publishers: Array.from({ length: publishers }, (_, i) => ({
      region: region.name,
      name: `publisher-${i}`,
      records: Math.floor(records * (i + 1) / publishers) - Math.floor(records * i / publishers)
    })),
    subscriber: SoakSubscriber,
    subscribers: [{ region: region.name, name: "subscriber-0", records }]
  })

const soak = Command.make(
  "soak-log",
  flags,
  Effect.fnUntraced(function*({ gib, json, mib }) {
    const bytes = Option.match(mib, { onNone: () => gib * 1024 * mebibyte, onSome: (mib) => mib * mebibyte })
    const records = bytes / recordBytes
    const planned = yield* region
    yield* writeNotice(
      `${formatBytes(bytes)} in ${formatCount(records)} records, ${plural(publishers, "publisher")}, 1 subscriber, `
        + `${plural(brokers, "broker")}, order session, ack ordered; region ${formatBytes(planned.bytes)}`
    )
    const report = LogSoakReport.report(planned, records, yield* run(planned, records))
    yield* printReport(json, report, LogSoakReport.describe, codeOfChecks(report.passed))
    if (!report.passed) return yield* new ChecksFailed({ program: "soak-log", failed: namesOfFailed(report.checks) })
  })
).pipe(Command.withDescription("Carries a known amount through the log and checks every promise"))

runCommand(soak)
