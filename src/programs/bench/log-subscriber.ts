/**
 * A child of `ringfence bench`: takes every record and checks its position, without reading its bytes.
 */
import * as Effect from "effect/Effect"
import { Subscriber } from "../../services/Subscriber.ts"
import { readTopic } from "../log-trial/read-topic.ts"
import { runChild } from "../processes/child.ts"
import { attached } from "../processes/log-client.ts"
import { benchTopic, LogSubscriber } from "./jobs.ts"

runChild(LogSubscriber, (job, parent) =>
  Effect.gen(function*() {
    const subscriber = yield* Subscriber.open(benchTopic(job.order), { from: "start", name: job.name })
    yield* parent.ready
    yield* parent.result(yield* readTopic(job.records, subscriber, parent, () => undefined))
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))
