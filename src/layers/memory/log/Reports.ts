/**
 * The state of the log of one heap, in the words of the services.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AckTracker, type SessionAcks } from "../../../services/AckTracker.ts"
import { Broker, type BrokerState } from "../../../services/Broker.ts"
import { type AttachedProcess, CxlMemory, type RegionInfo } from "../../../services/CxlMemory.ts"
import { Diagnostics, type LogSnapshot, type SessionState, type TopicState } from "../../../services/Diagnostics.ts"
import { noFrontiers, sumFrontiers } from "../../../services/schema/Frontiers.ts"
import { processTitle } from "../../node/ProcessTitle.ts"
import { HeapLog } from "./HeapLog.ts"
import { frontiersOf, gapOf, readersOf } from "./LanePort.ts"
import type { Heap, HeapTopic, Lane, Session } from "./LogState.ts"

export const layerCxlMemory: Layer.Layer<CxlMemory, never, HeapLog> = Layer.effect(
  CxlMemory,
  Effect.map(
    HeapLog,
    ({ heap }) => CxlMemory.of({ info: infoOf(heap), processes: Effect.sync(() => [thisProcess()]), hold: Effect.void })
  )
)

export const layerBroker: Layer.Layer<Broker, never, HeapLog> = Layer.effect(
  Broker,
  Effect.map(
    HeapLog,
    ({ heap }) => Broker.of({ brokers: heap.geometry.brokers, states: Effect.sync(() => brokersOf(heap)) })
  )
)

export const layerAckTracker: Layer.Layer<AckTracker, never, HeapLog> = Layer.effect(
  AckTracker,
  Effect.map(HeapLog, ({ heap }) => AckTracker.of({ sessions: Effect.sync(() => sessionsOf(heap).map(acksOf)) }))
)

export const layerDiagnostics: Layer.Layer<Diagnostics, never, HeapLog> = Layer.effect(
  Diagnostics,
  Effect.map(HeapLog, ({ heap }) => Diagnostics.of({ snapshot: Effect.sync(() => snapshotOf(heap)) }))
)

// --- internal ---

const infoOf = ({ geometry, region }: Heap): RegionInfo => ({
  name: region,
  path: "",
  backing: "heap",
  regionId: region,
  bytes: geometry.brokers * geometry.clients * geometry.laneBytes,
  geometry,
  owner: true
})

const thisProcess = (): AttachedProcess => ({
  slot: 0,
  generation: 1,
  pid: process.pid,
  name: processTitle(),
  alive: true
})

const snapshotOf = (heap: Heap): LogSnapshot => ({
  region: infoOf(heap),
  epoch: 1,
  serving: !heap.stopped,
  topics: heap.topics.map(topicOf),
  brokers: brokersOf(heap),
  sessions: sessionsOf(heap).map(sessionOf)
})

const sessionsOf = (heap: Heap): ReadonlyArray<Session> => heap.sessions.filter((session) => session !== undefined)

const topicOf = (topic: HeapTopic): TopicState => ({
  name: topic.name,
  order: topic.declaration.order,
  ack: topic.declaration.ack,
  committedBatches: topic.committedBatches,
  committedMessages: topic.committedMessages,
  committedBytes: topic.committedBytes,
  trimmedBatches: topic.trimmed,
  trimmedMessages: topic.trimmedMessages,
  indexEntries: topic.entries.length,
  readers: readersOf(topic)
})

const sessionOf = (session: Session): SessionState => ({
  sessionId: session.id,
  topic: session.topic.name,
  pid: process.pid,
  state: session.state === "ended" ? "ended" : "open",
  acks: acksOf(session),
  held: session.held,
  heldTotal: session.heldTotal,
  duplicates: session.duplicates,
  purged: session.purged,
  lanes: session.lanes.map(frontiersOf)
})

const acksOf = (session: Session): SessionAcks => ({
  sessionId: session.id,
  topic: session.topic.name,
  published: session.lanes.reduce((sum, lane) => sum + lane.publishedMessages, 0),
  acknowledged: session.acknowledgedMessages,
  byBroker: session.lanes.map((lane) => lane.orderedMessages),
  waitingOn: gapOf(session)
})

const brokersOf = (heap: Heap): ReadonlyArray<BrokerState> => {
  const { brokers, laneBytes, laneSlots } = heap.geometry
  const sessions = sessionsOf(heap)
  return Array.from({ length: brokers }, (_, broker) => {
    const lanes = sessions.flatMap((session) => session.lanes[broker] ?? [])
    return {
      broker,
      sessions: sessions.filter(({ state }) => state !== "ended").length,
      frontiers: lanes.map(frontiersOf).reduce(sumFrontiers, noFrontiers),
      inFlight: heap.lanes.reduce((sum, slot, client) => sum + batchesIn(slot[broker]!, heap.sessions[client]), 0),
      laneSlots,
      laneBytes,
      fullEvents: lanes.reduce((sum, lane) => sum + lane.fullEvents, 0)
    }
  })
}

/** Batches in a lane: a session that is not adopted yet has written none, but its slot's former owner may have. */
const batchesIn = (lane: Lane, session: Session | undefined): number =>
  (session?.lanes[lane.broker]?.written ?? lane.scanned) - lane.released
