#!/usr/bin/env node
/**
 * The torture: `npm run torture -- --minutes 5 --seed S` kills, stops and restarts servers, standbys, replicas, publishers and
 * subscribers of a log under load, lets disks fail, loses its memory and restores it, and gives a verdict on what all of
 * them wrote down.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Regions from "../../src/layers/Regions.ts"
import { ChecksFailed, codeOfChecks, namesOfFailed } from "../../src/programs/cli/checks.ts"
import { removeLeftovers } from "../../src/programs/cli/region-plan.ts"
import { printReport } from "../../src/programs/cli/report.ts"
import { runCommand } from "../../src/programs/cli/run-command.ts"
import { writeNotice } from "../../src/programs/cli/streams.ts"
import { countFlag } from "../../src/programs/cli/units.ts"
import { Cast, replicaNames } from "./cast.ts"
import { faults, kindsOf, passesReaders } from "./faults/faults.ts"
import { killed } from "./faults/recovery.ts"
import { endOf, noteFiles, noteRegion } from "./faults/restored.ts"
import { type Plant, plants, StoredTopic, TortureTopic } from "./jobs.ts"
import { until } from "./processes.ts"
import { type Choose, chooser } from "./random.ts"
import * as Report from "./report.ts"
import { verdictOf } from "./verdict/verdict.ts"

const seedMost = 2 ** 31

const flags = {
  minutes: countFlag("minutes", 24 * 60).pipe(Flag.withDescription("How long to go on"), Flag.withDefault(5)),
  seconds: countFlag("seconds", 3600).pipe(Flag.withDescription("The same, in seconds"), Flag.optional),
  seed: countFlag("seed", seedMost).pipe(
    Flag.withDescription("Determines the faults and their order; default: random, and printed"),
    Flag.optional
  ),
  plant: Flag.Literals("plant", plants).pipe(
    Flag.withDescription(
      "Plants a fault below replicas or readers, which the verdict must find, and does what shows it"
    ),
    Flag.optional
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("Print the report as JSON"), Flag.withDefault(false))
}

/** All kinds in an order of their own, then again. */
const nextKind = (kinds: ReadonlyArray<string>, choose: Choose) => {
  let left: Array<string> = []
  return (): string => {
    if (left.length === 0) left = [...kinds]
    return left.splice(choose(left.length), 1)[0] as string
  }
}

// Each kind is inflicted at least once, however short the time is. Ends at the first fault that the log does not survive.
const inflict = Effect.fnUntraced(function*(
  cast: Cast,
  kinds: ReadonlyArray<string>,
  choose: Choose,
  millis: number
) {
  const next = nextKind(kinds, choose)
  const inflicted: Array<Report.Inflicted> = []
  const began = performance.now()
  while (inflicted.length < kinds.length || performance.now() - began < millis) {
    const kind = next()
    const recovery = yield* Effect.result(faults[kind]!(cast, choose))
    if (Result.isFailure(recovery)) return { inflicted, stuck: `${kind}: ${recovery.failure.message}` }
    inflicted.push({ kind, recoveryMillis: recovery.success })
    const ended = cast.endedEarly()
    if (ended !== undefined) return { inflicted, stuck: `${kind}: ${ended}` }
  }
  return { inflicted, stuck: undefined }
})

// Publishers end first; then the subscribers read what they left, and a witness reads all from the beginning.
const finish = Effect.fnUntraced(function*(cast: Cast) {
  for (const publisher of cast.publishers) publisher.end(0)
  yield* until("the end of all publishers", () => cast.publishers.every(({ ended }) => ended !== undefined))
  const ends = new Map<string, number>()
  for (const { name } of [TortureTopic, StoredTopic]) {
    const end = yield* endOf(cast, name)
    ends.set(name, end)
    cast.write({ _tag: "Ended", topic: name, end })
  }
  const witness = yield* cast.startWitness
  const readers = [...cast.subscribers, ...cast.laggards, ...cast.holder === undefined ? [] : [cast.holder]]
  for (const reader of readers) reader.end(ends.get(cast.topicOf(reader)) ?? 0)
  witness.end(ends.get(StoredTopic.name) ?? 0)
  yield* until("the end of all subscribers", () => [...readers, witness].every(({ ended }) => ended !== undefined))
  for (const replica of cast.replicas.values()) replica.signal("SIGTERM")
  yield* until("the end of all replicas", () => [...cast.replicas.values()].every(({ ended }) => ended !== undefined))
})

const terms = { ordered: TortureTopic.name, durable: StoredTopic.name, replicas: replicaNames }

const run = (seed: number, millis: number, folder: string, plant: Plant | undefined) =>
  Effect.gen(function*() {
    const choose = chooser(seed)
    const cast = new Cast(`torture-${process.pid}`, folder, choose, plant)
    // Runs when all processes are gone: what they leave is a recoverable log.
    yield* Effect.addFinalizer(() =>
      Effect.ignore(Regions.removeDead(CxlMemory.regionPath(cast.region), { discard: true }))
    )
    return yield* Effect.scoped(Effect.gen(function*() {
      const began = performance.now()
      const started = yield* Effect.result(Effect.tap(cast.start, () => Effect.sync(() => noteRegion(cast))))
      const { inflicted, stuck } = Result.isSuccess(started)
        ? yield* inflict(cast, kindsOf(plant), choose, millis)
        : { inflicted: [], stuck: `the start: ${started.failure.message}` }
      for (const found of cast.unfit()) cast.write({ _tag: "Damaged", ...found })
      const ended = stuck === undefined ? yield* Effect.result(finish(cast)) : Result.succeed(undefined)
      // Otherwise those that still run write on while what they wrote is read, one journal behind the other.
      yield* Effect.forEach(cast.living, (part) => Effect.ignore(killed(part)), { concurrency: "unbounded" })
      // Of a run that is stuck, too: a reader that meets damaged files ends it ahead of the replica that would name them.
      if (Result.isSuccess(started)) yield* noteFiles(cast)
      return Report.report({
        seed,
        millis: performance.now() - began,
        inflicted,
        delayed: cast.delayed,
        mustSeeGaps: passesReaders(kindsOf(plant)),
        stuck: stuck ?? (Result.isFailure(ended) ? ended.failure.message : undefined),
        verdict: verdictOf(cast.journals(), terms)
      })
    }))
  })

const torture = Command.make(
  "torture",
  flags,
  Effect.fnUntraced(function*({ json, minutes, plant, seconds, seed }) {
    const chosen = Option.getOrElse(seed, () => Math.trunc(performance.timeOrigin) % seedMost)
    yield* removeLeftovers("torture-")
    yield* writeNotice(`seed ${chosen}`)
    const folder = mkdtempSync(join(tmpdir(), "ringfence-torture-"))
    const millis = 1000 * Option.getOrElse(seconds, () => 60 * minutes)
    const report = yield* Effect.scoped(run(chosen, millis, folder, Option.getOrUndefined(plant)))
    yield* printReport(json, report, Report.describe, codeOfChecks(report.passed))
    if (report.passed) return rmSync(folder, { recursive: true })
    yield* writeNotice(`what the processes wrote down and said is in ${folder}`)
    return yield* new ChecksFailed({ program: "torture", failed: namesOfFailed(report.checks) })
  })
).pipe(
  Command.withDescription(
    "Kills, stops and restarts the processes of a log under load, and judges what each of them saw"
  )
)

runCommand(torture)
