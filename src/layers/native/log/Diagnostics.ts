/**
 * The state of the whole log, read from shared memory: every frontier and counter of topics, brokers and sessions.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  ackLevel,
  type NativeCursor,
  type NativeSessionState,
  type NativeSnapshot,
  type NativeTopicState,
  type RegionHandle,
  serverState
} from "../../../native/binding.ts"
import {
  type CursorState,
  Diagnostics,
  type IdentityState,
  type LogSnapshot,
  type ReaderState,
  type SessionState,
  type TopicDurability,
  type TopicState
} from "../../../services/Diagnostics.ts"
import { processIdOf } from "../../../services/schema/ProcessId.ts"
import type { TopicBounds } from "../../../services/Subscriber.ts"
import { cursorState } from "../../log/cursor/cursorState.ts"
import type { UntakenSessions, UntakingReader } from "../../log/sessionAdmission.ts"
import { NativeRegion } from "../region/NativeRegion.ts"
import { acksOf, topicName, topicUsedBy } from "./AckTracker.ts"
import { brokersOf, frontiersOf } from "./Broker.ts"
import { viewOf } from "./Cursors.ts"
import { ackNameOf, orderNameOf } from "./Topics.ts"

type Region = NativeRegion["Service"]

export const layer: Layer.Layer<Diagnostics, never, NativeRegion> = Layer.effect(
  Diagnostics,
  Effect.map(NativeRegion, (region) => Diagnostics.of({ snapshot: Effect.sync(() => logSnapshot(region)) }))
)

/** The readers of the topic that this session publishes to. */
export const readersBeside = (handle: RegionHandle, sessionId: number): ReadonlyArray<ReaderState> => {
  const topic = topicBeside(handle, sessionId)
  return topic === undefined ? [] : readersOf(topic)
}

/** The topic that this session publishes to. */
export const topicBeside = (handle: RegionHandle, sessionId: number): NativeTopicState | undefined => {
  const snapshot = handle.snapshot()
  const session = snapshot.sessions.find((session) => session.sessionId === sessionId)
  return session && topicUsedBy(snapshot, session)
}

/** The positions of the oldest kept record, and of the next to be committed. */
export const boundsIn = (topic: NativeTopicState): TopicBounds => {
  const bounds = { start: topic.trimmedMessages, end: topic.committedMessages }
  const durability = durabilityOf(topic)
  return durability === undefined ? bounds : { ...bounds, durable: durability.records }
}

export const readersOf = (topic: NativeTopicState): ReadonlyArray<ReaderState> =>
  topic.readers.map((reader) => ({
    name: reader.name,
    ...processIdOf(reader),
    cursor: reader.cursor,
    gates: reader.gates,
    behindBatches: reader.behind,
    behindRecords: reader.behindMessages,
    replica: reader.replica
  }))

/** How far the records of a durable topic are on disks. */
export const durabilityOf = (topic: NativeTopicState): TopicDurability | undefined =>
  topic.ack !== ackLevel.durable ? undefined : {
    required: topic.replicasRequired,
    batches: topic.durableBatches < 0 ? undefined : topic.durableBatches,
    records: topic.durableMessages < 0 ? undefined : topic.durableMessages,
    replicas: readersOf(topic).filter(({ replica }) => replica > 0)
  }

export const identitiesOf = ({ identities, topics }: NativeSnapshot): ReadonlyArray<IdentityState> =>
  identities.map(({ committed, incarnation, name, sessionId, topic }) => ({
    name,
    topic: topics.find(({ index }) => index === topic)?.name ?? `#${topic}`,
    incarnation,
    committed,
    sessionId: sessionId === 0 ? undefined : sessionId
  }))

export const cursorsOf = (
  cursors: ReadonlyArray<NativeCursor>,
  { topics }: Pick<NativeSnapshot, "topics">
): ReadonlyArray<CursorState> =>
  cursors.map((cursor) =>
    cursorState(topics.find(({ index }) => index === cursor.topic)?.name ?? `#${cursor.topic}`, viewOf(cursor))
  )

/** The reader that holds the topic's room. */
export const gateOf = ({ gatingReader, readers }: NativeTopicState): UntakingReader | undefined => {
  const reader = readers.find(({ reader }) => reader + 1 === gatingReader)
  if (reader === undefined) return undefined
  return { name: reader.name, ...processIdOf(reader), own: reader.pid === process.pid && reader.foreignPid !== true }
}

/** The sessions of a topic of order `none` that have closed or died, and do not end before a reader has taken them. */
export const untakenSessions = ({ handle, info }: Pick<Region, "handle" | "info">): UntakenSessions | undefined => {
  const snapshot = handle.snapshot()
  for (const topic of snapshot.topics) {
    const reader = orderNameOf(topic.order) === "none" ? gateOf(topic) : undefined
    const untaken = snapshot.sessions.filter((session) => session.ending && topicUsedBy(snapshot, session) === topic)
    if (reader === undefined || untaken.length === 0) continue
    return { count: untaken.length, slots: info.geometry.clients, topic: topic.name, reader }
  }
  return undefined
}

export const topicOf = ({ info }: Pick<Region, "info">, topic: NativeSnapshot["topics"][number]): TopicState => ({
  name: topic.name,
  order: orderNameOf(topic.order),
  ack: ackNameOf(topic.ack),
  committedBatches: topic.committedBatches,
  committedMessages: topic.committedMessages,
  committedBytes: topic.committedBytes,
  bounds: boundsIn(topic),
  trimmedBatches: topic.trimmedBatches,
  trimmedMessages: topic.trimmedMessages,
  indexEntries: info.geometry.indexEntries,
  readers: readersOf(topic),
  durability: durabilityOf(topic)
})

// --- internal ---

const logSnapshot = (region: Region): LogSnapshot => {
  const snapshot = region.handle.snapshot()
  const state = region.handle.serverState()
  return {
    region: region.info,
    epoch: snapshot.epoch,
    serving: state === serverState.serving,
    ended: state === serverState.stopped,
    topics: snapshot.topics.map((topic) => topicOf(region, topic)),
    brokers: brokersOf(region, snapshot),
    sessions: snapshot.sessions.map((session) => sessionOf(session, topicName(snapshot, session))),
    identities: identitiesOf(snapshot),
    cursors: cursorsOf(snapshot.cursors, snapshot)
  }
}

const sessionOf = (session: NativeSessionState, topic: string): SessionState => ({
  sessionId: session.sessionId,
  topic,
  ...processIdOf(session),
  process: session.process,
  state: session.ended ? "ended" : "open",
  quarantined: session.quarantined,
  acks: acksOf(session, topic),
  held: session.held,
  heldTotal: session.heldTotal,
  duplicates: session.duplicates,
  purged: session.purged,
  lanes: session.lanes.map(frontiersOf)
})
