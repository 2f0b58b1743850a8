/**
 * A publisher of the torture: sends records in bursts, and writes down what was acknowledged.
 */
import * as Effect from "effect/Effect"
import { Publisher, type PublisherHandle } from "../../src/services/Publisher.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { PublisherJob, StoredTopic, topicNamed } from "./jobs.ts"
import { type Conductor, runPart } from "./part.ts"
import { makeProgress } from "./progress.ts"
import { type Choose, chooser } from "./random.ts"
import { recordOf } from "./records.ts"

/** Without an identity each attachment is a life of its own; so many may follow one start. */
const attachmentsMost = 1000

const publish = Effect.fnUntraced(function*(
  job: PublisherJob,
  handle: PublisherHandle<Uint8Array>,
  { end, joins, reached, write }: Conductor,
  choose: Choose
) {
  const { burstMost, pauseMost, publisher } = job
  const life = job.identity === undefined ? job.life * attachmentsMost + joins : job.life
  const { committed } = handle
  write({ _tag: "Opened", publisher, life, sessionId: handle.sessionId, committed })
  const noteProgress = makeProgress({ publisher, life }, write, {
    acknowledged: () => {
      const own = handle.acknowledged()
      // What its identity had committed may not be durable yet: the first acknowledgement says that all before it is.
      return own === 0 && job.topic === StoredTopic.name ? 0 : committed + own
    },
    end: Effect.map(Subscriber.bounds(topicNamed(job.topic)), ({ end }) => end)
  })
  let [sent, seen] = [committed, committed]
  const note = (accepted: number) =>
    Effect.map(noteProgress(accepted), (acknowledged) => {
      reached(Math.max(0, acknowledged - seen), 0)
      seen = Math.max(seen, acknowledged)
    })
  while (end() === undefined) {
    const burst = 1 + choose(burstMost)
    yield* note(sent + burst)
    for (const last = sent + burst; sent < last; sent += 1) {
      const record = recordOf({ publisher, life, number: sent })
      if (!handle.offer(record)) yield* handle.send(record)
    }
    yield* Effect.sleep(choose(pauseMost))
  }
  yield* handle.flush
  yield* note(sent)
  write({ _tag: "Closed", publisher, life, accepted: sent, fenced: false })
})

runPart(PublisherJob, (job, conductor) =>
  Effect.gen(function*() {
    const handle = yield* Publisher.open(topicNamed(job.topic), {
      skew: job.skewMillis,
      identity: job.identity,
      openDeadline: "60 seconds"
    })
    // Until there is one, what is trimmed has no reader.
    yield* handle.awaitReaders(1)
    yield* publish(job, handle, conductor, chooser(job.seed))
  }))
