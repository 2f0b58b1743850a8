/**
 * A subscriber of the torture: checks each record, and writes down what it has read.
 */
import * as Effect from "effect/Effect"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { SubscriberJob, topicNamed } from "./jobs.ts"
import { runPart } from "./part.ts"
import { noteRuns } from "./runs.ts"

/** Another subscriber, or a replica, has all that was trimmed while this one was gone. */
const openAt = (topic: string, position: number) =>
  Effect.catchTag(
    Subscriber.open(topicNamed(topic), { from: { position } }),
    "PositionTrimmed",
    () => Subscriber.open(topicNamed(topic), { from: "start" })
  )

runPart(SubscriberJob, (job, { end, joins, reached, regionId, write }) =>
  Effect.gen(function*() {
    const handle = yield* joins === 0 && regionId === job.regionId
      ? openAt(job.topic, job.position)
      : Subscriber.open(topicNamed(job.topic), { from: "start" })
    write({ _tag: "Attached", position: handle.position() })
    reached(0, handle.position())
    while (handle.position() < (end() ?? Infinity)) {
      const before = handle.position()
      const pulled = yield* Effect.timeoutOrElse(handle.pull, { duration: 100, orElse: () => Effect.succeed([]) })
      for (const batch of pulled) noteRuns(batch, write)
      if (pulled.length > 0) reached(handle.position() - before, handle.position())
    }
  }))
