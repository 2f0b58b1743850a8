/**
 * A child of the log soak: checks every byte of every record.
 */
import * as Effect from "effect/Effect"
import { readTopic } from "../../src/programs/log-trial/read-topic.ts"
import { ContentCheck } from "../../src/programs/log-trial/session-content.ts"
import { peakResidentBytes } from "../../src/programs/measure/cpu-usage.ts"
import { type Parent, runChild } from "../../src/programs/processes/child.ts"
import { attached } from "../../src/programs/processes/log-client.ts"
import { Subscriber, type SubscriberHandle } from "../../src/services/Subscriber.ts"
import { type Seen, type SoakJob, SoakSubscriber, SoakTopic } from "./log-jobs.ts"

const readAll = Effect.fnUntraced(function*(
  job: SoakJob,
  subscriber: SubscriberHandle<Uint8Array>,
  parent: Parent<Seen>
) {
  const content = new ContentCheck()
  const seen = yield* readTopic(job.records, subscriber, parent, (batch) => content.see(batch))
  return yield* parent.result({ ...seen, wrong: content.wrong, residentBytes: peakResidentBytes() })
})

runChild(SoakSubscriber, (job, parent) =>
  Effect.gen(function*() {
    const subscriber = yield* Subscriber.open(SoakTopic, { from: "start", name: job.name })
    yield* parent.ready
    yield* readAll(job, subscriber, parent)
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))
