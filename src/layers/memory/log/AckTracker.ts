/**
 * The acknowledgements of each session of one heap: the committed prefix, by the brokers that carried it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AckTracker, type SessionAcks } from "../../../services/AckTracker.ts"
import { HeapLog } from "./HeapLog.ts"
import { gapOf } from "./LanePort.ts"
import { type Session, sessionsOf } from "./LogState.ts"

export const layer: Layer.Layer<AckTracker, never, HeapLog> = Layer.effect(
  AckTracker,
  Effect.map(HeapLog, ({ heap }) => AckTracker.of({ sessions: Effect.sync(() => sessionsOf(heap).map(acksOf)) }))
)

export const acksOf = (session: Session): SessionAcks => ({
  sessionId: session.id,
  topic: session.topic.name,
  published: session.lanes.reduce((sum, lane) => sum + lane.publishedMessages, 0),
  acknowledged: session.acknowledgedMessages,
  byBroker: session.lanes.map((lane) => lane.orderedMessages),
  waitingOn: gapOf(session)
})
