/**
 * The state of the whole log, read off shared memory in the words of the services.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  type Native,
  type NativeLaneState,
  type NativeSessionState,
  type NativeSnapshot,
  type NativeTopicState,
  type RegionHandle,
  serverState
} from "../../../native/binding.ts"
import { AckTracker, type SessionAcks } from "../../../services/AckTracker.ts"
import type { BrokerState } from "../../../services/Broker.ts"
import {
  Diagnostics,
  type LogSnapshot,
  type ReaderState,
  type SessionState,
  type TopicState
} from "../../../services/Diagnostics.ts"
import { type Frontiers, noFrontiers, sumFrontiers } from "../../../services/schema/Frontiers.ts"
import { processIdOf } from "../../../services/schema/ProcessId.ts"
import { NativeRegion } from "../region/NativeRegion.ts"
import { ackNameOf, orderNameOf } from "./Topics.ts"

type Region = NativeRegion["Service"]

export const layerAckTracker: Layer.Layer<AckTracker, never, NativeRegion> = Layer.effect(
  AckTracker,
  Effect.map(NativeRegion, (region) =>
    AckTracker.of({
      sessions: Effect.sync(() => {
        const snapshot = region.native.snapshot(region.handle)
        return snapshot.sessions.map((session) => acksOf(session, topicName(snapshot, session.topic)))
      })
    }))
)

export const layerDiagnostics: Layer.Layer<Diagnostics, never, NativeRegion> = Layer.effect(
  Diagnostics,
  Effect.map(NativeRegion, (region) => Diagnostics.of({ snapshot: Effect.sync(() => logSnapshot(region)) }))
)

export const brokerStates = (region: Region): ReadonlyArray<BrokerState> =>
  brokersOf(region, region.native.snapshot(region.handle))

/** The readers of the topic that this session publishes to. */
export const readersBeside = (native: Native, handle: RegionHandle, sessionId: number): ReadonlyArray<ReaderState> => {
  const { sessions, topics } = native.snapshot(handle)
  const session = sessions.find((session) => session.sessionId === sessionId)
  const topic = topics.find(({ index }) => index === session?.topic)
  return topic === undefined ? [] : readersOf(topic)
}

// --- internal ---

const readersOf = (topic: NativeTopicState): ReadonlyArray<ReaderState> =>
  topic.readers.map((reader) => ({
    name: reader.name,
    ...processIdOf(reader),
    cursor: reader.cursor,
    behindBatches: Math.max(0, topic.committedBatches - reader.cursor)
  }))

const logSnapshot = (region: Region): LogSnapshot => {
  const snapshot = region.native.snapshot(region.handle)
  return {
    region: region.info,
    epoch: snapshot.epoch,
    serving: region.native.serverState(region.handle) === serverState.serving,
    topics: snapshot.topics.map((topic) => topicOf(region, topic)),
    brokers: brokersOf(region, snapshot),
    sessions: snapshot.sessions.map((session) => sessionOf(session, topicName(snapshot, session.topic)))
  }
}

const topicName = (snapshot: NativeSnapshot, index: number): string => snapshot.topics[index]?.name ?? `#${index}`

const topicOf = (region: Region, topic: NativeSnapshot["topics"][number]): TopicState => ({
  name: topic.name,
  order: orderNameOf(topic.order),
  ack: ackNameOf(topic.ack),
  committedBatches: topic.committedBatches,
  committedMessages: topic.committedMessages,
  committedBytes: topic.committedBytes,
  trimmedBatches: topic.trimmedBatches,
  trimmedMessages: topic.trimmedMessages,
  indexEntries: region.info.geometry.indexEntries,
  readers: readersOf(topic)
})

const sessionOf = (session: NativeSessionState, topic: string): SessionState => ({
  sessionId: session.sessionId,
  topic,
  ...processIdOf(session),
  state: session.ended ? "ended" : "open",
  acks: acksOf(session, topic),
  held: session.held,
  heldTotal: session.heldTotal,
  duplicates: session.duplicates,
  purged: session.purged,
  lanes: session.lanes.map(frontiersOf)
})

const acksOf = (session: NativeSessionState, topic: string): SessionAcks => {
  const published = session.lanes.reduce((sum, lane) => sum + lane.publishedMessages, 0)
  const waits = !session.ended && session.gap
  return {
    sessionId: session.sessionId,
    topic,
    published,
    acknowledged: session.messages,
    byBroker: session.lanes.map((lane) => lane.orderedMessages),
    waitingOn: waits
      ? {
        broker: session.gapBroker < 0 ? undefined : session.gapBroker,
        batch: session.batches,
        heldBehind: session.held
      }
      : undefined
  }
}

const brokersOf = (region: Region, snapshot: NativeSnapshot): ReadonlyArray<BrokerState> => {
  const { brokers, laneBytes, laneSlots } = region.info.geometry
  return Array.from({ length: brokers }, (_, broker) => {
    const lanes = snapshot.sessions.map((session) => session.lanes[broker] as NativeLaneState)
    return {
      broker,
      sessions: snapshot.sessions.filter(({ ended }) => !ended).length,
      frontiers: lanes.map(frontiersOf).reduce(sumFrontiers, noFrontiers),
      inFlight: lanes.reduce((sum, lane) => sum + lane.inFlight, 0),
      laneSlots,
      laneBytes,
      fullEvents: lanes.reduce((sum, lane) => sum + lane.fullEvents, 0)
    }
  })
}

const frontiersOf = (lane: NativeLaneState): Frontiers => ({
  written: lane.written,
  published: lane.published,
  scanned: lane.scanned,
  held: lane.held,
  ordered: lane.ordered,
  acknowledged: lane.ordered,
  delivered: lane.delivered,
  orderedMessages: lane.orderedMessages,
  acknowledgedMessages: lane.orderedMessages,
  deliveredMessages: lane.deliveredMessages,
  duplicates: lane.duplicates,
  purged: lane.purged
})
