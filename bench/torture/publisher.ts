/**
 * A publisher of the torture: sends records in bursts, and writes down what was acknowledged.
 */
import * as Effect from "effect/Effect"
import { Publisher, type PublisherHandle } from "../../src/services/Publisher.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { PublisherJob, TortureTopic } from "./jobs.ts"
import { type Conductor, runPart } from "./part.ts"
import { makeProgress } from "./progress.ts"
import { type Choose, chooser } from "./random.ts"
import { recordOf } from "./records.ts"

const burstMost = 200
const pauseMost = 10

const publish = Effect.fnUntraced(function*(
  job: PublisherJob,
  handle: PublisherHandle<Uint8Array>,
  { end, reached, write }: Conductor,
  choose: Choose
) {
  const { life, publisher } = job
  const { committed } = handle
  write({ _tag: "Opened", publisher, life, sessionId: handle.sessionId, committed })
  const noteProgress = makeProgress(job, write, {
    acknowledged: () => committed + handle.acknowledged(),
    end: Effect.map(Subscriber.bounds(TortureTopic), ({ end }) => end)
  })
  let sent: number = committed
  while (end() === undefined) {
    const burst = 1 + choose(burstMost)
    reached(yield* noteProgress(sent + burst))
    for (const last = sent + burst; sent < last; sent += 1) {
      const record = recordOf({ publisher, life, number: sent })
      if (!handle.offer(record)) yield* handle.send(record)
    }
    yield* Effect.sleep(choose(pauseMost))
  }
  yield* handle.flush
  reached(yield* noteProgress(sent))
  write({ _tag: "Closed", publisher, life, accepted: sent, fenced: false })
})

runPart(PublisherJob, (job, conductor) =>
  Effect.gen(function*() {
    const handle = yield* Publisher.open(TortureTopic, {
      skew: job.skewMillis,
      identity: job.identity,
      openDeadline: "60 seconds"
    })
    yield* publish(job, handle, conductor, chooser(job.seed))
  }))
