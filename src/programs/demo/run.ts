/**
 * Runs a demonstration: each publisher sends a share of the input, and each subscriber reads all of it.
 */
import type { KillPlan } from "../log-trial/kill.ts"
import * as LogRun from "../log-trial/run.ts"
import { split } from "./input-share.ts"
import {
  DemoPublisher,
  DemoSubscriber,
  DemoTopic,
  type PublisherJob,
  type PublisherResult,
  type SubscriberResult
} from "./jobs.ts"
import type { DemoPlan } from "./plan.ts"

export type DemoOutcome = LogRun.LogOutcome<PublisherResult, SubscriberResult>

export const run = ({ files, macKey, options, records, region, totalBytes }: DemoPlan) => {
  const { coherence, kill, publishers, recordBytes, skewMillis, subscribers, unsafeIgnoreSessionOrder } = options
  const jobs = split(files, totalBytes, recordBytes, publishers).map((range, share) => {
    const name = `publisher-${share}`
    return { region: region.name, name, macKey, range, recordBytes, skewMillis, identity: name }
  })
  return LogRun.run({
    label: "demo",
    region,
    coherence,
    serve: { topics: [DemoTopic], unsafeIgnoreSessionOrder },
    records,
    publisher: DemoPublisher,
    publishers: kill === undefined ? jobs : jobs.map((job) => ({ ...job, holdsAt: holdOf(kill, job) })),
    subscriber: DemoSubscriber,
    subscribers: Array.from({ length: subscribers }, (_, i) => ({
      region: region.name,
      name: `subscriber-${i}`,
      macKey,
      records
    })),
    kill: kill === undefined ? undefined : { ...kill, publisherAgain: jobs[0], formerOf }
  })
}

// --- internal ---

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
