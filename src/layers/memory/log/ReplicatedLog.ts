/**
 * Replicas of the log of one heap.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ReplicatedLog } from "../../ports/ReplicatedLog.ts"
import { cursorsIn, restoreCursor } from "./Cursors.ts"
import { topicOf } from "./Diagnostics.ts"
import { HeapLog } from "./HeapLog.ts"
import { restoreIdentity } from "./Identities.ts"
import { openReader } from "./Subscriber.ts"
import { restoreTopic } from "./Topics.ts"

export const layer: Layer.Layer<ReplicatedLog, never, HeapLog> = Layer.effect(
  ReplicatedLog,
  Effect.map(HeapLog, (log) => {
    const { heap, waiter } = log
    return ReplicatedLog.of({
      region: heap.region,
      waiter,
      topics: () => heap.topics.filter(({ isDurable }) => isDurable).map((topic) => topicOf(heap, topic)),
      topicNames: () => heap.topics.filter(({ isDurable }) => isDurable).map(({ name }) => name),
      gate: (name) => heap.topics.find((topic) => topic.name === name)?.gate?.name,
      attach: (topic, { name, position, role }) =>
        openReader(log, topic, { name, from: { position }, mustExist: true }, role),
      restoreTopic: (topic, base) => restoreTopic(heap, topic, base),
      restoreIdentity: (topic, name, committed) => restoreIdentity(heap, topic, name, committed),
      cursors: (topic) => cursorsIn(heap, topic),
      restoreCursor: (topic, cursor, nowMillis) => restoreCursor(heap, topic, cursor, nowMillis)
    })
  })
)
