/**
 * Reads a topic from its start in a child: checks and counts every batch until the expected number has arrived.
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
    // Yield now and then: a reader that never waits must still notice its interruption.
    yield* Effect.yieldNow
  }
  const lastMillis = monotonicMillis()
  subscriber.release()
  const { batches, bytes, records, sparse } = order
  const counts: SeenCounts = { records, bytes, batches, sparse, lastMillis, sessions: order.sessions() }
  return counts
})
