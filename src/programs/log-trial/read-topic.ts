/**
 * How a child reads a topic from its start: every batch is looked at, and counted, until all that is to come has come.
 */
import * as Effect from "effect/Effect"
import type { IndexedBatch, SubscriberHandle } from "../../services/Subscriber.ts"
import { monotonicMillis } from "../measure/monotonic-clock.ts"
import type { Parent } from "../processes/child.ts"
import { LogEnded } from "../processes/log-client.ts"
import type { SeenCounts } from "./counts.ts"
import { OrderCheck } from "./order-check.ts"

export const readTopic = Effect.fnUntraced(function*(
  wanted: number,
  subscriber: SubscriberHandle<Uint8Array>,
  parent: Parent<never>,
  look: (batch: IndexedBatch) => void
) {
  const order = new OrderCheck()
  while (order.records < wanted) {
    const batches = yield* subscriber.pull
    if (batches.length === 0) return yield* new LogEnded({ records: order.records, wanted })
    for (const batch of batches) {
      order.see(batch)
      look(batch)
    }
    parent.progress(order.records, order.bytes)
    // A reader that never has to wait must still be able to hear that it is to stop.
    yield* Effect.yieldNow
  }
  const lastMillis = monotonicMillis()
  subscriber.release()
  const { batches, bytes, records, sparse } = order
  const counts: SeenCounts = { records, bytes, batches, sparse, lastMillis, sessions: order.sessions() }
  return counts
})
