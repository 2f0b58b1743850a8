/**
 * Runs a demonstration: each publisher sends a share of the input, each subscriber reads all of it, and each replica writes
 * all of it to files, which are read in the end.
 */
import * as Effect from "effect/Effect"
import { join } from "node:path"
import type { KillPlan } from "../log-trial/kill.ts"
import type { ReplicaJob } from "../log-trial/replicas.ts"
import * as LogRun from "../log-trial/run.ts"
import { split } from "./input-share.ts"
import {
  DemoPublisher,
  DemoSubscriber,
  demoTopic,
  type PublisherJob,
  type PublisherResult,
  type SubscriberResult
} from "./jobs.ts"
import type { DemoPlan } from "./plan.ts"
import { replicaFolder } from "./replica-folder.ts"
import { readStored, type Stored } from "./stored.ts"

export interface DemoOutcome extends LogRun.LogOutcome<PublisherResult, SubscriberResult> {
  /** What the replicas' files hold. */
  readonly stored: ReadonlyArray<LogRun.Named<Stored>>
}

export const run = (plan: DemoPlan) =>
  Effect.scoped(Effect.gen(function*() {
    const folder = plan.options.replicas === 0 ? "" : yield* replicaFolder
    const replicas = replicasIn(folder, plan)
    const outcome = yield* runLog(plan, replicas)
    const stored = yield* Effect.forEach(replicas, ({ dir, name }) =>
      Effect.map(readStored(dir, plan.macKey), (result) => ({ name, result })))
    return { ...outcome, stored } satisfies DemoOutcome
  }))

// --- internal ---

// All of them must have a record before it is acknowledged: without one of them nothing is.
const replicasIn = (folder: string, { options, region }: DemoPlan): ReadonlyArray<ReplicaJob> => {
  const dirs = Array.from({ length: options.replicas }, (_, i) => join(folder, `replica-${i}`))
  return dirs.map((dir, i) => ({
    region: region.name,
    name: `replica-${i}`,
    dir,
    peers: dirs.filter((other) => other !== dir),
    durableCopies: dirs.length,
    syncBytes
  }))
}

/** Small beside the input, so that a replica is killed with some of it on disk and some on the way there. */
const syncBytes = 1024 * 1024

const runLog = (
  { files, macKey, options, records, region, totalBytes }: DemoPlan,
  replicas: ReadonlyArray<ReplicaJob>
) => {
  const { ack, coherence, kill, publishers, recordBytes, skewMillis, subscribers, unsafeIgnoreSessionOrder } = options
  const jobs = split(files, totalBytes, recordBytes, publishers).map((range, share) => {
    const name = `publisher-${share}`
    return { region: region.name, name, macKey, ack, range, recordBytes, skewMillis, identity: name }
  })
  return LogRun.run({
    label: "demo",
    region,
    coherence,
    serve: { topics: [demoTopic(ack)], unsafeIgnoreSessionOrder },
    records,
    publisher: DemoPublisher,
    publishers: kill === undefined ? jobs : jobs.map((job) => ({ ...job, holdsAt: holdOf(kill, job) })),
    subscriber: DemoSubscriber,
    subscribers: Array.from({ length: subscribers }, (_, i) => ({
      region: region.name,
      name: `subscriber-${i}`,
      macKey,
      ack,
      records
    })),
    replicas,
    kill: kill === undefined ? undefined : { ...kill, publisherAgain: jobs[0], formerOf }
  })
}

/** How far publishers go on while a process is killed, as a part of their records. */
const holdBehind = 0.05

// At least one record must be left to come behind the kill.
const holdOf = ({ fraction }: KillPlan, { range, recordBytes }: PublisherJob): number => {
  const records = Math.ceil((range.to - range.from) / recordBytes)
  return Math.min(records - 1, Math.ceil((fraction + holdBehind) * records))
}

/** What the killed publisher had committed, as its successor has read it. */
const formerOf = (result: PublisherResult, sessionId: number): PublisherResult | undefined =>
  result.former && { ...result, ...result.former, sessionId, acknowledged: result.former.records, fullEvents: 0 }
