/**
 * A child of the demonstration: reads the whole topic and reports checksums and counts of what it saw.
 */
import * as Effect from "effect/Effect"
import { Subscriber, type SubscriberHandle } from "../../services/Subscriber.ts"
import { readTopic } from "../log-trial/read-topic.ts"
import { type Parent, runChild } from "../processes/child.ts"
import { attached } from "../processes/log-client.ts"
import { DemoSubscriber, demoTopic, type SubscriberJob, type SubscriberResult } from "./jobs.ts"
import { SeenMacs } from "./seen-macs.ts"

const readAll = Effect.fnUntraced(function*(
  job: SubscriberJob,
  subscriber: SubscriberHandle<Uint8Array>,
  parent: Parent<SubscriberResult>
) {
  const macs = new SeenMacs(job.macKey)
  const seen = yield* readTopic(job.records, subscriber, parent, (batch) => macs.see(batch))
  const { ofSession, order } = macs.done()
  return yield* parent.result({
    ...seen,
    orderMac: order,
    sessions: seen.sessions.map((session) => ({ ...session, mac: ofSession(session.sessionId) }))
  })
})

runChild(DemoSubscriber, (job, parent) =>
  Effect.gen(function*() {
    const subscriber = yield* Subscriber.open(demoTopic(job.ack), { from: "start", name: job.name })
    yield* parent.ready
    yield* readAll(job, subscriber, parent)
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))
