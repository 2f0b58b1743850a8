/**
 * Runs a demonstration: each publisher sends a share of the input, and each subscriber reads all of it.
 */
import * as LogRun from "../log-trial/run.ts"
import { split } from "./input-share.ts"
import { DemoPublisher, DemoSubscriber, DemoTopic, type PublisherResult, type SubscriberResult } from "./jobs.ts"
import type { DemoPlan } from "./plan.ts"

export type DemoOutcome = LogRun.LogOutcome<PublisherResult, SubscriberResult>

export const run = ({ files, options, records, region, totalBytes }: DemoPlan) => {
  const { coherence, kill, publishers, recordBytes, skewMillis, subscribers, unsafeIgnoreSessionOrder } = options
  return LogRun.run({
    label: "demo",
    region,
    coherence,
    serve: { topics: [DemoTopic], unsafeIgnoreSessionOrder },
    records,
    publisher: DemoPublisher,
    publishers: split(files, totalBytes, recordBytes, publishers).map((range, share) => ({
      region: region.name,
      name: `publisher-${share}`,
      range,
      recordBytes,
      skewMillis,
      keepsLast: kill !== undefined
    })),
    subscriber: DemoSubscriber,
    subscribers: Array.from({ length: subscribers }, (_, i) => ({
      region: region.name,
      name: `subscriber-${i}`,
      records
    })),
    kill
  })
}
