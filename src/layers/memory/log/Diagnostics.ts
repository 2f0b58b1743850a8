/**
 * The state of the log of one heap: every frontier and counter, of topics, brokers and sessions.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  Diagnostics,
  type LogSnapshot,
  type SessionState,
  type TopicDurability,
  type TopicState
} from "../../../services/Diagnostics.ts"
import { processTitle } from "../../node/ProcessTitle.ts"
import { acksOf } from "./AckTracker.ts"
import { brokersOf } from "./Broker.ts"
import { cursorStates } from "./Cursors.ts"
import { boundsIn, durableIndexOf, recordsBelow, requiredOf } from "./Durability.ts"
import { HeapLog } from "./HeapLog.ts"
import { identityStates } from "./Identities.ts"
import { frontiersOf, readersOf } from "./LanePort.ts"
import { infoOf } from "./LogRegion.ts"
import { type Heap, type HeapTopic, isQuarantined, type Session, sessionsOf } from "./LogState.ts"

export const layer: Layer.Layer<Diagnostics, never, HeapLog> = Layer.effect(
  Diagnostics,
  Effect.map(HeapLog, ({ heap }) => Diagnostics.of({ snapshot: Effect.sync(() => snapshotOf(heap)) }))
)

export const topicOf = (heap: Heap, topic: HeapTopic): TopicState => ({
  name: topic.name,
  order: topic.declaration.order,
  ack: topic.declaration.ack,
  committedBatches: topic.committedBatches,
  committedMessages: topic.committedMessages,
  committedBytes: topic.committedBytes,
  bounds: boundsIn(topic),
  trimmedBatches: topic.trimmed,
  trimmedMessages: topic.trimmedMessages,
  indexEntries: topic.entries.length,
  readers: readersOf(heap, topic),
  durability: topic.isDurable ? durabilityOf(heap, topic) : undefined
})

// --- internal ---

const snapshotOf = (heap: Heap): LogSnapshot => ({
  region: infoOf(heap),
  epoch: heap.epoch,
  serving: !heap.stopped && heap.unservedMicros === undefined,
  ended: heap.stopped,
  topics: heap.topics.map((topic) => topicOf(heap, topic)),
  brokers: brokersOf(heap),
  sessions: sessionsOf(heap).map(sessionOf),
  identities: identityStates(heap),
  cursors: cursorStates(heap)
})

const durabilityOf = (heap: Heap, topic: HeapTopic): TopicDurability => {
  const batches = durableIndexOf(topic)
  return {
    required: requiredOf(topic),
    batches: batches < 0 ? undefined : batches,
    records: batches < 0 ? undefined : recordsBelow(topic, batches),
    replicas: readersOf(heap, topic).filter(({ replica }) => replica > 0)
  }
}

const sessionOf = (session: Session): SessionState => ({
  sessionId: session.id,
  topic: session.topic.name,
  pid: process.pid,
  process: processTitle(),
  state: session.state === "ended" ? "ended" : "open",
  quarantined: isQuarantined(session),
  acks: acksOf(session),
  held: session.held,
  heldTotal: session.heldTotal,
  duplicates: session.duplicates,
  purged: session.purged,
  lanes: session.lanes.map(frontiersOf)
})
