/**
 * A child of `bench takeover`: reads the whole topic and checks the order and every byte.
 */
import * as Effect from "effect/Effect"
import { Subscriber, type SubscriberHandle } from "../../../services/Subscriber.ts"
import { OrderCheck } from "../../log-trial/order-check.ts"
import { ContentCheck } from "../../log-trial/session-content.ts"
import { monotonicMillis } from "../../measure/monotonic-clock.ts"
import { type Parent, runChild } from "../../processes/child.ts"
import { attached } from "../../processes/log-client.ts"
import { LoadSubscriber, type Seen, TakeoverTopic } from "./jobs.ts"

const readUntilTold = Effect.fnUntraced(function*(subscriber: SubscriberHandle<Uint8Array>, parent: Parent<Seen>) {
  const order = new OrderCheck()
  const content = new ContentCheck()
  let wanted = Infinity
  const told = Effect.map(parent.finish, () => {
    wanted = subscriber.committedMessages()
    return []
  })
  while (order.records < wanted) {
    const ready = subscriber.poll()
    const batches = ready.length > 0 ? ready : yield* Effect.raceFirst(subscriber.pull, told)
    for (const batch of batches) {
      order.see(batch)
      content.see(batch)
    }
    // A reader that never waits must still hear its parent.
    yield* Effect.yieldNow
  }
  subscriber.release()
  const { batches, bytes, records, sparse } = order
  const seen = { records, bytes, batches, sparse, sessions: order.sessions() }
  yield* parent.result({ ...seen, lastMillis: monotonicMillis(), wrong: content.wrong })
})

runChild(LoadSubscriber, (job, parent) =>
  Effect.gen(function*() {
    const subscriber = yield* Subscriber.open(TakeoverTopic, { from: "start", name: job.name })
    yield* parent.ready
    yield* readUntilTold(subscriber, parent)
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))
